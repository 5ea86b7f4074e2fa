// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
)

const (
	// CrashSpan is how far back the agent looks for starts of CRI-O by systemd.
	CrashSpan = 10 * time.Minute
	// loopRestarts is how many of them make a loop, and steady is how long CRI-O then has to run
	// before it is trusted again.
	loopRestarts = 3
	steady       = 30 * time.Second
)

// CrashLooping reports whether CRI-O ends soon after each start, or has ended so often that systemd
// starts it no more. A start by anyone but systemd begins the count anew.
func (f Facts) CrashLooping() bool {
	r := f.Runtime
	return r.Crashes.GivenUp || r.Crashes.Restarts >= loopRestarts && (!r.Active || f.At.Sub(r.Since) < steady)
}

// leaveAlone takes out of the plan what asks something of a CRI-O that ends again and again, and
// names the cause. What serves continues to do so.
func (p *planner) leaveAlone() {
	if !p.facts.CrashLooping() {
		return
	}
	var lines [][]Step
	for _, line := range p.plan.Lines {
		if i := slices.IndexFunc(line, asksCRIO); i >= 0 {
			line = line[:i]
		}
		if len(line) > 0 {
			lines = append(lines, line)
		}
	}
	p.plan.Lines, p.plan.Tidy = lines, slices.DeleteFunc(p.plan.Tidy, asksCRIO)
	switch p.plan.Phase {
	case node.PhaseIdle, node.PhaseAbsent:
		return
	case node.PhaseAwaitingGrant:
		p.plan.Phase = node.PhaseInstalling
	case node.PhaseInstalling, node.PhaseInstalled, node.PhaseRemoving, node.PhaseBlocked:
	}
	if p.plan.Problem == nil {
		p.problem(RestartCRIO, node.ReasonCRIOCrashLooping, loop(p.facts.Runtime))
	}
}

// asksCRIO reports whether CRI-O has to run for a step, or is restarted by it. The services that
// depend on CRI-O ask it for more than the agent does.
func asksCRIO(s Step) bool {
	return slices.Contains([]Kind{RestartCRIO, StartDependents, Prove, Control, RemoveSandbox, Reclaim}, s.Kind)
}

// goPanic begins the line of a panic.
const goPanic = "panic: "

// loop says why CRI-O ends again and again, and what to do.
func loop(r Runtime) string {
	remedy := "fix that, see journalctl -u crio"
	switch {
	case r.Refused != "":
		remedy = "fix or delete that file"
	case strings.HasPrefix(r.Crashes.Fatal, goPanic):
		remedy = "reboot this node, update CRI-O"
	}
	if r.Crashes.GivenUp {
		remedy += ", then systemctl reset-failed crio and systemctl start crio: systemd starts it no more"
	}
	cause := cmp.Or(r.Refused, r.Crashes.Fatal, r.Words, "it has printed nothing")
	return "CRI-O ends soon after each start, so the agent leaves it alone until it keeps running: " + cause + "; " + remedy
}

// crashed names the end of a CRI-O that runs again since.
func (f Facts) crashed() string {
	c := f.Runtime.Crashes
	if c.Restarts == 0 || c.Fatal == "" || f.CrashLooping() {
		return ""
	}
	return "CRI-O has ended by itself within the last 10 min, and systemd has started it again: " + c.Fatal
}
