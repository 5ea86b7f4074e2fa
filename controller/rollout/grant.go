// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/selection"
)

// grant chooses the members that may restart CRI-O or reboot now, and enters them into the book.
// What we caused counts against maxUnavailable. For a reboot, so does whatever else is unavailable.
// A restart takes seconds: for it, members that are unavailable for another reason count as far as
// they exceed maxUnavailable, so that a few dead nodes never hold a fleet. A node that is
// unavailable already costs nothing.
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
	left := map[ledger.Kind]int{ledger.Reboot: budget - ours - others, ledger.RestartCRIO: budget - ours - max(0, others-budget)}
	for _, m := range p.Members {
		kinds := asks(m.Node)
		if len(kinds) == 0 || pace.starts[m.Name] {
			continue
		}
		if book.spent(m.Node) {
			pace.again(m.Node, kinds, book, left, now)
			continue
		}
		i := slices.IndexFunc(kinds, func(kind ledger.Kind) bool { return !m.Available() || left[kind] > 0 })
		if i < 0 || !book.enter(m.Node, kinds[i], now) {
			continue
		}
		pace.grants[m.Name] = kinds[i]
		if m.Available() {
			left[ledger.Reboot]--
			left[ledger.RestartCRIO]--
		}
	}
}

// again gives a grant whose entry is in the book already, and counted in what is left. It waits
// where so much has become unavailable since that the entry would not be made today; the entry ends
// by itself. An entry that is not new is renewed for the grant: the write of this instance may be
// delayed, and has as much time as that of a new entry.
func (pace *Pace) again(n facts.Node, kinds []ledger.Kind, book *Book, left map[ledger.Kind]int, now time.Time) {
	for _, kind := range kinds {
		if book.pending(n, kind) && (!n.Available() || left[kind] >= 0) {
			pace.grants[n.Name] = kind
			book.renew(n, now)
		}
	}
}

// Budget is maxUnavailable in nodes: a percentage is rounded down, and never below one.
func Budget(p selection.Pool) int { return scaled(p.Config.MaxUnavailable, p.Size(), 1) }

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

// asks returns the grants that the agent waits for and that its intent does not have for this boot,
// the one that saves the other first: a reboot restarts CRI-O, too. Where no reboot can be granted,
// an installation does not wait for it.
func asks(n facts.Node) []ledger.Kind {
	if n.Held || n.Busy != "" || rebooting(n) {
		return nil
	}
	var kinds []ledger.Kind
	if n.AsksReboot() {
		kinds = append(kinds, ledger.Reboot)
	}
	if n.AsksRestart() {
		kinds = append(kinds, ledger.RestartCRIO)
	}
	return kinds
}

// rebooting is true from the grant of a reboot until the agent reports from another boot, or needs
// none any more.
func rebooting(n facts.Node) bool {
	return n.Intent != nil && n.Report != nil && n.Report.RebootRequired && n.Intent.Grants.Reboot == n.Report.BootID
}

// outstanding is true while a node is, or is about to be, unavailable by a grant of ours. until is
// when that changes by itself.
func outstanding(n facts.Node, limits Limits, now time.Time) (caused bool, until time.Time) {
	if caused, until = rebootOutstanding(n, limits, now); caused {
		return caused, until
	}
	return restartOutstanding(n, limits, now)
}

// rebootOutstanding lasts until the node takes pods again after its boot, or has not got there for
// too long: it is unavailable for another reason then.
func rebootOutstanding(n facts.Node, limits Limits, now time.Time) (caused bool, until time.Time) {
	if n.Intent == nil || n.Intent.Grants.Reboot == "" {
		return false, time.Time{}
	}
	if n.Report == nil || rebooting(n) || !n.Available() && n.Report.BootID != n.Intent.Grants.Reboot {
		is, until := expired(n.Since, limits.Progress, now, failing)
		return is == moving, until
	}
	return false, time.Time{}
}

// restartOutstanding lasts until the agent reports that it went on, another boot, or nothing at all
// for too long.
func restartOutstanding(n facts.Node, limits Limits, now time.Time) (caused bool, until time.Time) {
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
