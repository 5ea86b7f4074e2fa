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
		if kept, taken := lapse(m.Node, limits, now); taken && !pace.starts[m.Name] && book.withdraw(m.Node, now) {
			pace.grants[m.Name], pace.kept[m.Name] = ledger.Withdrawn, kept
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
// an installation does not wait for it. An agent that a grant was taken back from, and that has not
// answered since, gets no other one: it would keep that, too.
func asks(n facts.Node) []ledger.Kind {
	if n.Held || n.Busy != "" || rebooting(n) || n.Pinged() {
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
	is, until := rebootOutstanding(n, limits, now)
	if is == settled {
		is, until = restartOutstanding(n, limits, now)
	}
	return is != settled, until
}

// lapse returns the grants that a node keeps, and whether others are to be taken from it: it has
// not used them in time, because it is cut off, its agent is silent, or something else failed
// first. It would use them when it is back, also after others were granted what it had allowed. So
// they count until they are taken back.
func lapse(n facts.Node, limits Limits, now time.Time) (kept node.Grants, taken bool) {
	if n.Intent == nil {
		return node.Grants{}, false
	}
	kept = n.Intent.Grants
	if is, _ := rebootOutstanding(n, limits, now); is == failing {
		kept.Reboot, taken = "", true
	}
	if is, _ := restartOutstanding(n, limits, now); is == failing {
		kept.RestartCRIO, taken = "", true
	}
	return kept, taken
}

// away is true for a node that could use no grant of a restart in time.
func away(n facts.Node, limits Limits, now time.Time) bool {
	is, _ := expired(n.Since, limits.Answer, now, failing)
	return !n.Ready && is == failing
}

// rebootOutstanding is moving until the node takes pods again after its boot, or has not got there
// for too long: it is unavailable for another reason then, which the cordon shows that its agent
// begins with. Without a cordon it has not begun, and is failing until the grant is taken back. The
// agent reports earlier than the kubelet after a boot: until then, what the API server has of the
// kubelet is from before it.
func rebootOutstanding(n facts.Node, limits Limits, now time.Time) (is standing, until time.Time) {
	if n.Intent == nil || n.Intent.Grants.Reboot == "" {
		return settled, time.Time{}
	}
	back := n.Available() && !n.InBoot(n.Intent.Grants.Reboot)
	switch {
	case (n.Report == nil || rebooting(n)) && !n.Cordoned:
		return expired(n.Since, limits.Progress, now, unused(n))
	case n.Report == nil, rebooting(n), !back && n.Report.BootID != n.Intent.Grants.Reboot:
		return expired(n.Since, limits.Progress, now, settled)
	default:
		return settled, time.Time{}
	}
}

// restartOutstanding is moving until the agent reports that it went on, or another boot. A restart
// of CRI-O takes seconds: a node that is away for longer is away for another reason. It is failing
// until the grant is taken back, as is one that stays as it is for too long, and one that has
// failed before the restart: it may be repaired at any time.
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
		if afterRestart(*n.Report.Error) {
			return settled, time.Time{}
		}
		return failing, time.Time{}
	default:
		return expired(n.Since, limits.Progress, now, unused(n))
	}
}

// unused is what becomes of a grant that was not used in time. It is taken back, but from an agent
// that knows no pings: nothing would show whether that has seen so, and it would get the next one.
func unused(n facts.Node) standing {
	if n.Report != nil && n.Report.Ping.IsZero() {
		return settled
	}
	return failing
}

// afterRestart is true for an error that an agent can only have once it has restarted CRI-O: the
// grant is used up.
func afterRestart(e node.Error) bool {
	return e.Step == proveStep || e.Reason == node.ReasonHandlersNotTaken || e.Reason == node.ReasonCRIONotRunning
}
