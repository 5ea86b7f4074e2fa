// SPDX-License-Identifier: Apache-2.0

// Package progress shows how far several things have come at the same time: as bars on a terminal,
// else as lines at intervals, which a log can keep.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/docker/go-units"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// interval is how often a line is written about one thing. What is done sooner has none.
const interval = 10 * time.Second

// Display shows progress until it is closed. Meanwhile, nothing else may be written where it
// writes.
type Display struct {
	out io.Writer
	// bars is nil where lines are written.
	bars *mpb.Progress
	// verb begins each line, such as "downloading".
	verb string

	mu     sync.Mutex
	things map[string]*thing
}

// thing is one thing that makes progress.
type thing struct {
	bar *mpb.Bar
	// lines says that one was written; shown is when, or when the thing began.
	lines bool
	shown time.Time
	ended bool
}

// New returns a display of things that are all done the same way: verb says how. bars says that
// out is a terminal.
func New(out io.Writer, bars bool, verb string) *Display {
	d := &Display{out: out, verb: verb, things: map[string]*thing{}}
	if bars {
		d.bars = mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh(), mpb.WithWidth(64))
	}
	return d
}

// Show says how far a thing has come, in bytes. A total below zero is not known yet. It may be
// called by several goroutines at once.
func (d *Display) Show(name string, done, total int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.thing(name)
	switch {
	case t.ended:
	case t.bar != nil:
		t.bar.SetTotal(max(total, 0), false)
		t.bar.SetCurrent(done)
	case time.Since(t.shown) >= interval:
		t.shown, t.lines = time.Now(), true
		d.write(name, amount(done, total))
	}
}

// End says that a thing of that size is finished.
func (d *Display) End(name string, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.thing(name)
	switch {
	case t.ended:
	case t.bar != nil:
		t.bar.SetTotal(max(size, 0), false)
		t.bar.SetCurrent(max(size, 0))
		t.bar.SetTotal(-1, true)
	case t.lines:
		d.write(name, amount(size, -1)+", done")
	}
	t.ended = true
}

// Close ends the display. What has not come to its end stays on the terminal as it is.
func (d *Display) Close() {
	if d.bars == nil {
		return
	}
	d.mu.Lock()
	for _, t := range d.things {
		if !t.ended {
			t.bar.Abort(false)
		}
	}
	d.mu.Unlock()
	d.bars.Wait()
}

// thing returns what is known of a thing. The first line about it comes after an interval.
func (d *Display) thing(name string) *thing {
	t, known := d.things[name]
	if !known {
		t = &thing{shown: time.Now()}
		if d.bars != nil {
			t.bar = d.bars.AddBar(0,
				mpb.PrependDecorators(decor.Name(d.verb+" "+name, decor.WCSyncSpaceR)),
				mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f", decor.WCSyncSpace)))
		}
		d.things[name] = t
	}
	return t
}

func (d *Display) write(name, amount string) {
	fmt.Fprintf(d.out, "%s %s: %s\n", d.verb, name, amount)
}

func amount(done, total int64) string {
	have := units.HumanSize(float64(done))
	if total < 0 {
		return have
	}
	return fmt.Sprintf("%s of %s", have, units.HumanSize(float64(total)))
}
