// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/selection"
)

// grant chooses the members that may restart CRI-O now, and enters them into the book. What we
// caused counts against maxUnavailable; members that are unavailable for another reason count as
// far as they exceed it, so that a few dead nodes never hold a fleet. A node that is unavailable
// already costs nothing.
func (pace *Pace) grant(p selection.Pool, book *Book, limits Limits, now time.Time) {
	ours, others := 0, 0
	for _, m := range p.Members {
		caused, until := outstanding(m.Node, limits, now)
		pace.wake(until)
		switch {
		case caused, book.spent(m.Node):
			ours++
		case !m.Available():
			others++
		default:
			continue
		}
		pace.Unavailable = append(pace.Unavailable, m.Name)
	}
	if p.Config.Paused {
		return
	}
	budget := Budget(p)
	budget -= ours + max(0, others-budget)
	for _, m := range p.Members {
		switch {
		case !asks(m.Node), pace.starts[m.Name]:
		case book.spent(m.Node):
			pace.grants[m.Name] = book.pending(m.Node, ledger.RestartCRIO)
		case !m.Available():
			pace.grants[m.Name] = book.enter(m.Node, ledger.RestartCRIO, now)
		case budget > 0 && book.enter(m.Node, ledger.RestartCRIO, now):
			pace.grants[m.Name] = true
			budget--
		}
	}
}

// Budget is maxUnavailable in nodes: a percentage is rounded down, and never below one.
func Budget(p selection.Pool) int { return scaled(p.Config.MaxUnavailable, len(p.Members), 1) }

func scaled(value intstr.IntOrString, of, least int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, of, false)
	if err != nil {
		return least
	}
	if value.Type == intstr.Int {
		return max(n, 1)
	}
	return max(n, least)
}

// asks is true when the agent waits for a grant that its intent does not have for this boot.
func asks(n facts.Node) bool {
	return n.Answered() && n.Report.Phase == node.PhaseAwaitingGrant && n.Intent.Grants.RestartCRIO != n.Report.BootID
}

// outstanding is true while a node is, or is about to be, unavailable by a grant of ours: until the
// agent reports that it went on, another boot, or nothing at all for too long. until is when that
// changes by itself.
func outstanding(n facts.Node, limits Limits, now time.Time) (caused bool, until time.Time) {
	if n.Intent == nil || n.Intent.Grants.RestartCRIO == "" || n.Serves() {
		return false, time.Time{}
	}
	if n.Report != nil && n.Report.BootID != n.Intent.Grants.RestartCRIO {
		return false, time.Time{}
	}
	if !n.Ready {
		// A restart of CRI-O takes seconds. A node that is away for longer is away for another
		// reason.
		is, until := expired(n.Since, limits.Answer, now, excused)
		return is == moving, until
	}
	if n.Answered() && n.Report.Error != nil && n.Report.Phase != node.PhaseAwaitingGrant {
		return false, time.Time{}
	}
	is, until := expired(n.Since, limits.Progress, now, failing)
	return is == moving, until
}
