// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.podman.io/image/v5/types"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// errStalled is the cause of a pull that was given up.
var errStalled = errors.New("no progress")

// stallGuard ends a pull whose registry keeps the connection and sends nothing. The library has no
// such limit of its own, not for the header of an answer and not for its body.
type stallGuard struct {
	limit time.Duration
	timer *time.Timer
	// answered is when the registry last answered, in nanoseconds since 1970.
	answered atomic.Int64
}

func newStallGuard(limit time.Duration, cancel context.CancelCauseFunc) *stallGuard {
	g := &stallGuard{limit: limit}
	// The timer is set only after it is known to its own function.
	g.timer = time.AfterFunc(math.MaxInt64, func() {
		if left := 2*g.limit - time.Since(time.Unix(0, g.answered.Load())); left > 0 {
			g.timer.Reset(left)
			return
		}
		cancel(fmt.Errorf("%w for %s", errStalled, limit))
	})
	g.timer.Reset(limit)
	return g
}

// answer notes that the first bytes of an answer have come. It may be 429 Too Many Requests: the
// library then waits for as long as the registry says, for one minute at most, and asks again, up
// to four times. Such a pull must end with that status, and must not look like one without an
// answer.
func (g *stallGuard) answer() { g.answered.Store(time.Now().UnixNano()) }

// patience is longer where the library does not say that bytes come: once all that was asked for
// has come, layers are unpacked and flushed to a disk that may be slow; and of a layer that is
// pulled in parts it only says what it has asked for.
func (g *stallGuard) patience(sum host.Progress, partial bool) time.Duration {
	if partial || sum.Done >= sum.Total {
		return 10 * g.limit
	}
	return g.limit
}

// tell adds up the progress of the image's blobs until the channel closes. The library sends events
// at intervals, also while no byte comes: only what was added counts as progress, and what a
// partial pull has put on disk.
func tell(events <-chan types.ProgressProperties, progress func(host.Progress), guard *stallGuard, staged func() int64) {
	blobs, last, before := map[string]host.Progress{}, host.Progress{}, staged()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case e, more := <-events:
			if !more {
				return
			}
			blobs[e.Artifact.Digest.String()] = blob(e)
			sum := total(blobs)
			if sum != last || e.Event != types.ProgressEventRead {
				last = sum
				guard.timer.Reset(guard.patience(sum, before > 0))
			}
			progress(sum)
		case <-tick.C:
			if now := staged(); now != before {
				before = now
				guard.timer.Reset(guard.patience(last, now > 0))
			}
		}
	}
}

func total(blobs map[string]host.Progress) host.Progress {
	sum := host.Progress{}
	for _, b := range blobs {
		sum.Done, sum.Total = sum.Done+b.Done, sum.Total+b.Total
	}
	return sum
}

func blob(e types.ProgressProperties) host.Progress {
	size := max(e.Artifact.Size, 0)
	if e.Event == types.ProgressEventSkipped || e.Event == types.ProgressEventDone {
		return host.Progress{Done: size, Total: size}
	}
	return host.Progress{Done: int64(e.Offset), Total: size} //nolint:gosec // a blob's size fits
}

// staged is what layers that are pulled in parts take of the disk so far.
func (s *Store) staged() int64 {
	var blocks int64
	_ = filepath.WalkDir(filepath.Join(s.graph, "overlay", "staging"), func(_ string, d fs.DirEntry, err error) error { //nolint:errcheck // What cannot be read is no progress.
		if err != nil {
			return nil //nolint:nilerr // Files come and go meanwhile.
		}
		if info, err := d.Info(); err == nil {
			blocks += 1 + info.Sys().(*syscall.Stat_t).Blocks //nolint:forcetypeassert,errcheck // On Linux it is one.
		}
		return nil
	})
	return blocks
}
