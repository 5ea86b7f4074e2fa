// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
)

// mode is how a change is disturbed.
type mode string

// Every mode. A loss of power takes what is below /run, every mount and process, and all that was
// not synced.
const (
	diesBefore mode = "dies before"
	diesAfter  mode = "dies after"
	fails      mode = "fails"
	losesPower mode = "loses power in"
)

func modes() []mode { return []mode{diesBefore, diesAfter, fails, losesPower} }

// change is one entry of a trace.
type change struct {
	seam.Op
	// calls are those of the disk that it took.
	calls int
}

// gate is what every change of the agent passes.
type gate struct {
	// count counts changes, trace has those since it was emptied.
	count int
	trace []change
	// at is the number of the change to disturb, 0 for none; then how is what happens to it.
	at  int
	how mode
	// disturbed is that change, undisturbed the trace of a run without one.
	disturbed   seam.Op
	undisturbed []change
	// refuse fails changes while it returns an error.
	refuse func(op seam.Op) error
	// dead is true until the next start of the agent; power is whether the host went down.
	dead, power bool
	// cut is the change in which power was lost.
	cut seam.Op
	// after is called after each change.
	after func(when string)
}

func (g *gate) around(disk *hosttest.Disk, op seam.Op, do func() error) error {
	if g.dead {
		return hosttest.ErrCrash
	}
	g.count++
	disturbed := g.count == g.at
	if disturbed {
		g.disturbed = op
	}
	if disturbed && g.how != diesAfter {
		return g.disturb(disk, op, do)
	}
	if g.refuse != nil {
		if err := g.refuse(op); err != nil {
			return err
		}
	}
	from := disk.Calls
	err := do()
	g.trace = append(g.trace, change{op, disk.Calls - from})
	if disturbed {
		g.dead = true
	}
	g.after("after " + op.String())
	if g.dead {
		return hosttest.ErrCrash
	}
	return err
}

// disturb is for the modes in which the change does not come to its end.
func (g *gate) disturb(disk *hosttest.Disk, op seam.Op, do func() error) error {
	switch g.how {
	case fails:
		return refusal(op, unix.EIO)
	case losesPower:
		before := disk.Calls
		disk.StopBefore = before + max(1, g.calls(op))
		_ = do() //nolint:errcheck // Nobody is left to read it.
		g.power, g.cut = true, op
	case diesBefore, diesAfter:
	}
	g.dead = true
	return hosttest.ErrCrash
}

// calls are those of the disk that the undisturbed change takes.
func (g *gate) calls(op seam.Op) int {
	if i := slices.IndexFunc(g.undisturbed, func(c change) bool { return c.Op == op }); i >= 0 {
		return g.undisturbed[i].calls
	}
	return 0
}

// lose is what a loss of power leaves of the store where it changed at that moment: an image whose
// files are empty, or one whose layers are deleted already.
func (g *gate) lose(s *simulation) {
	op := g.cut
	g.cut = seam.Op{}
	switch op.Kind { // The others change nothing but files, or nothing durable.
	case seam.Pull:
		if len(s.Images) == 0 {
			return
		}
		image := s.Images[len(s.Images)-1]
		_ = fs.WalkDir(os.DirFS(s.storeDir(image.ID)), ".", func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // see below
			if err != nil || d.IsDir() {
				return err
			}
			return os.Truncate(s.storeDir(image.ID)+"/"+path, 0)
		})
	case seam.Delete, seam.Discard:
		s.Images = append(s.Images, host.Image{ID: op.Object})
	}
}

// refusal is an error as the adapters return it: it names operation and thing.
func refusal(op seam.Op, err error) error {
	switch op.Kind { // The others are no calls with a path.
	case seam.Write, seam.Link, seam.Remove:
		return &fs.PathError{Op: string(op.Kind), Path: op.Object, Err: err}
	}
	err = fmt.Errorf("%s: %w", op, err)
	if op.Kind == seam.Unmount && errors.Is(err, unix.EBUSY) {
		return &host.Busy{Err: err}
	}
	return err
}

// quick is the disk of this machine without its syncs: what counts as durable is up to hosttest.
type quick struct{ files.Kernel }

func (quick) Sync(path string) error {
	_, err := os.Lstat(path)
	return err
}
