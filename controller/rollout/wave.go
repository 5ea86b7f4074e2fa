// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/selection"
)

// Nodes of one wave pull the same payload from the same registry. A wave of more than leastBurst
// nodes begins within about waveTime and not at once: in every waveStep, a part of it does.
const (
	waveTime   = time.Minute
	waveStep   = 10 * time.Second
	leastBurst = 10
)

// wave is how many more nodes may begin to pull now.
type wave struct {
	left int
	now  time.Time
	// more is when others may begin, zero while no part of it is under way. refused is whether a
	// node has to wait for that.
	more    time.Time
	refused bool
}

// newWave is for so many nodes that pull at the same time.
func newWave(width int, now time.Time) *wave {
	steps := int(waveTime / waveStep)
	return &wave{left: max(leastBurst, (width+steps-1)/steps), now: now}
}

// count takes in a member that works and may not have its payload yet.
func (w *wave) count(m *selection.Member, is standing) {
	if m.Carries() && is == moving && (!m.Answered() || m.Report.Phase == node.PhaseInstalling) {
		w.pulls(m.Intent.Issued)
	}
}

// pulls counts a node that pulls since then.
func (w *wave) pulls(since time.Time) {
	end := since.Add(waveStep)
	if !w.now.Before(end) {
		return
	}
	w.left--
	if w.more.IsZero() || end.Before(w.more) {
		w.more = end
	}
}

// admits one more node, or makes it wait.
func (w *wave) admits() bool {
	if w.left <= 0 {
		w.refused = true
		return false
	}
	w.pulls(w.now)
	return true
}

// next is when those that wait are to be asked again, zero where none waits.
func (w *wave) next() time.Time {
	if !w.refused {
		return time.Time{}
	}
	return w.more
}
