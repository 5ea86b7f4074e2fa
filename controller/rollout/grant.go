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
// Available ones come first: one that died after it had asked holds none of them.
func (pace *Pace) grant(p selection.Pool, book *Book, limits Limits, now time.Time) {
	left := allowance{budget: Budget(p)}
	for _, m := range p.Members {
		caused, until := outstanding(m.Node, limits, now)
		pace.wake(until)
		switch {
		case caused, book.spent(m.Node):
			left.ours++
		case !m.Available():
			left.others++
		default:
			continue
		}
		pace.Unavailable = append(pace.Unavailable, m.Name)
	}
	if p.Config.Paused {
		return
	}
	for _, m := range p.Members {
		if lapsed(m.Node, limits, now) && !pace.starts[m.Name] && book.withdraw(m.Node, now) {
			pace.grants[m.Name] = ledger.Withdrawn
		}
	}
	for _, available := range []bool{true, false} {
		for _, m := range p.Members {
			kinds := asks(m.Node)
			if away(m.Node, limits, now) {
				kinds = slices.DeleteFunc(kinds, func(kind ledger.Kind) bool { return kind == ledger.RestartCRIO })
			}
			switch {
			case len(kinds) == 0, m.Available() != available, pace.starts[m.Name]:
			case book.spent(m.Node):
				pace.again(m.Node, kinds, book, left, now)
			default:
				pace.first(m.Node, kinds, book, &left, now)
			}
		}
	}
}

// allowance is what is left of maxUnavailable.
type allowance struct {
	// ours are members that a grant has made unavailable or is about to; others are unavailable for
	// another reason.
	budget, ours, others int
}

// of is how many grants of a kind are left for a node. Grants never take more than maxUnavailable.
// For a reboot, whatever else is unavailable counts, too. A restart takes seconds: for it, members
// that are unavailable for another reason count as far as they exceed maxUnavailable, so that a few
// dead nodes never hold a fleet. For a node that is unavailable already, no other reason counts.
// Its grant does: it may be available again before it uses that.
func (a allowance) of(kind ledger.Kind, n facts.Node) int {
	switch left := a.budget - a.ours; {
	case !n.Available():
		return left
	case kind == ledger.Reboot:
		return left - a.others
	default:
		return left - max(0, a.others-a.budget)
	}
}

// first gives the first grant that a node asks for and that is left.
func (pace *Pace) first(n facts.Node, kinds []ledger.Kind, book *Book, left *allowance, now time.Time) {
	i := slices.IndexFunc(kinds, func(kind ledger.Kind) bool { return left.of(kind, n) > 0 })
	if i < 0 || !book.enter(n, kinds[i], now) {
		return
	}
	pace.grants[n.Name] = kinds[i]
	left.ours++
	if !n.Available() {
		left.others--
	}
}

// again gives a grant whose entry is in the book already, and counted in what is left. It waits
// where so much has become unavailable since that the entry would not be made today; the entry ends
// by itself. An entry that is not new is renewed for the grant: the write of this instance may be
// delayed, and has as much time as that of a new entry.
func (pace *Pace) again(n facts.Node, kinds []ledger.Kind, book *Book, left allowance, now time.Time) {
	for _, kind := range kinds {
		if book.pending(n, kind) && left.of(kind, n) >= 0 {
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
	is, until := restartOutstanding(n, limits, now)
	return is != settled, until
}

// lapsed is true for a node that was cut off before it used its grant of a restart. It would use
// that when it is back, also after others were granted what it had allowed: the grant counts until
// it is taken back.
func lapsed(n facts.Node, limits Limits, now time.Time) bool {
	is, _ := restartOutstanding(n, limits, now)
	return is == failing
}

// away is true for a node that could use no grant of a restart in time.
func away(n facts.Node, limits Limits, now time.Time) bool {
	is, _ := expired(n.Since, limits.Answer, now, failing)
	return !n.Ready && is == failing
}

// rebootOutstanding lasts until the node takes pods again after its boot, or has not got there for
// too long: it is unavailable for another reason then. The agent reports earlier than the kubelet
// after a boot: until then, what the API server has of the kubelet is from before it.
func rebootOutstanding(n facts.Node, limits Limits, now time.Time) (caused bool, until time.Time) {
	if n.Intent == nil || n.Intent.Grants.Reboot == "" {
		return false, time.Time{}
	}
	back := n.Available() && !n.InBoot(n.Intent.Grants.Reboot)
	if n.Report == nil || rebooting(n) || !back && n.Report.BootID != n.Intent.Grants.Reboot {
		is, until := expired(n.Since, limits.Progress, now, failing)
		return is == moving, until
	}
	return false, time.Time{}
}

// restartOutstanding is moving until the agent reports that it went on, another boot, or nothing at
// all for too long. A restart of CRI-O takes seconds: a node that is away for longer is away for
// another reason, and is failing until the grant is taken back.
func restartOutstanding(n facts.Node, limits Limits, now time.Time) (is standing, until time.Time) {
	if n.Intent == nil || n.Intent.Grants.RestartCRIO == "" || n.Serves() {
		return settled, time.Time{}
	}
	switch {
	case n.Report != nil && n.Report.BootID != n.Intent.Grants.RestartCRIO:
		return settled, time.Time{}
	case !n.Ready:
		return expired(n.Since, limits.Answer, now, failing)
	case n.Answered() && n.Report.Error != nil && n.Report.Phase != node.PhaseAwaitingGrant:
		return settled, time.Time{}
	default:
		return expired(n.Since, limits.Progress, now, settled)
	}
}
