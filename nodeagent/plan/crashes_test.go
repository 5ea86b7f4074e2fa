// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestWhichCRIOEndsAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		active bool
		runs   time.Duration
		plan.Crashes
		loops bool
	}{
		"one that never ended":                       {active: true},
		"one that does not run":                      {},
		"one that ended twice":                       {Crashes: plan.Crashes{Restarts: 2}},
		"one that ended three times and is down":     {Crashes: plan.Crashes{Restarts: 3}, loops: true},
		"one that ended three times and has started": {active: true, runs: 29 * time.Second, Crashes: plan.Crashes{Restarts: 3}, loops: true},
		"one that keeps running since":               {active: true, runs: 30 * time.Second, Crashes: plan.Crashes{Restarts: 30}},
		"one that systemd starts no more":            {Crashes: plan.Crashes{GivenUp: true}, loops: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := plan.Facts{At: noon(), Runtime: plan.Runtime{Active: c.active, Since: noon().Add(-c.runs), Crashes: c.Crashes}}
			assert.Equal(t, c.loops, f.CrashLooping())
		})
	}
}

// looping is a CRI-O that has ended with these words a moment after each start.
func looping(fatal string) func(*plan.Facts) {
	return func(f *plan.Facts) {
		f.At, f.Runtime.Since, f.Runtime.Crashes = noon(), noon(), plan.Crashes{Restarts: 7, Fatal: fatal}
	}
}

func TestNothingIsAskedOfACRIOThatEndsAgainAndAgain(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	looping("panic: nil pointer")(&w.facts)
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Pull, plan.Mount, plan.Verify, plan.Configure, plan.WriteDropIn}, done, "what needs no CRI-O")
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonCRIOCrashLooping, last.Problem.Reason)

	w.facts.Runtime.Crashes = plan.Crashes{}
	_, last = w.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Nil(t, last.Problem)
}

func TestACRIOThatLacksTheHandlersAndLoopsIsNotRestarted(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.Lacks = w.facts.Runtime.Invocation
	looping("")(&w.facts)
	w.facts.Intent.Wanted.Grants.RestartCRIO = ""
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalling, last.Phase, "no grant is asked for")
}

func TestAnInstalledNodeServesWhileItsCRIOLoops(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	looping("panic: nil pointer")(&w.facts)
	w.facts.Runtime.Invocation = "c9"
	w.facts.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Handler: node.ProofHandler, Ready: true}}
	w.facts.Runtime.Restarted.Dependents = []string{"kubelet.service"}
	p := plan.For(w.facts)
	assert.Empty(t, p.Lines)
	assert.Empty(t, p.Tidy, "nor is a sandbox removed, or the kubelet started")
	_, serving := w.facts.Serving()
	assert.True(t, serving)
	require.NotNil(t, p.Problem)

	w.facts.Intent.Wanted = absent()
	w.facts.Cluster.BoundPods = []string{"default/pod"}
	p = plan.For(w.facts)
	assert.Equal(t, node.PhaseBlocked, p.Phase)
	assert.Equal(t, node.ReasonCRIOCrashLooping, p.Problem.Reason)
}

func TestANodeWithoutKataSaysNothingOfItsCRIO(t *testing.T) {
	t.Parallel()
	w := booted(nil)
	looping("panic: nil pointer")(&w.facts)
	assert.Nil(t, plan.For(w.facts).Problem)
}

func TestWhyCRIOEndsAndWhatToDo(t *testing.T) {
	t.Parallel()
	const begins = "CRI-O ends soon after each start, so the agent leaves it alone until it keeps running: "
	for says, change := range map[string]func(*plan.Runtime){
		"it has printed nothing; fix that, see journalctl -u crio": func(*plan.Runtime) {},
		"no pause image; fix that, see journalctl -u crio":         func(r *plan.Runtime) { r.Words = "no pause image" },
		"panic: nil; reboot this node, update CRI-O":               func(r *plan.Runtime) { r.Crashes.Fatal, r.Words = "panic: nil", "goroutine 1" },
		"/etc/crio/crio.conf.d/x: no TOML; fix or delete that file": func(r *plan.Runtime) {
			r.Refused, r.Crashes.Fatal = "/etc/crio/crio.conf.d/x: no TOML", "level=fatal"
		},
		"panic: nil; reboot this node, update CRI-O, then systemctl reset-failed crio and systemctl start crio: systemd starts it no more": func(r *plan.Runtime) {
			r.Crashes.Fatal, r.Crashes.GivenUp = "panic: nil", true
		},
	} {
		w := installed(t, "a")
		looping("")(&w.facts)
		w.facts.Runtime.Active = false
		change(&w.facts.Runtime)
		p := plan.For(w.facts)
		require.NotNil(t, p.Problem)
		assert.Equal(t, begins+says, p.Problem.Message)
	}
}

func TestACRIOThatEndedOnceIsNamedAndUsed(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.startCRIO("c9")
	w.facts.Runtime.Crashes = plan.Crashes{Restarts: 1, Fatal: "panic: nil pointer"}
	w.facts.Slots.Mixed = []plan.Mixed{{Sandbox: "default/p (s)", Slots: []string{id("a")}}}
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Prove}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Contains(t, last.Notice, "default/p (s)")
	assert.Contains(t, last.Notice, "; CRI-O has ended by itself within the last 10 min, and systemd has started it again: panic: nil pointer")
	w.facts.Runtime.Crashes.Fatal = ""
	assert.NotContains(t, plan.For(w.facts).Notice, "CRI-O", "one that was killed says nothing")
}

func TestARestartOfALoopingCRIOIsNotCountedAsOurs(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	looping("level=fatal msg=x")(&w.facts)
	w.facts.Runtime.Restarted = record.Restarted{Intent: w.facts.Intent.Wanted.ID, Invocation: "c0"}
	w.facts.Runtime.Active, w.facts.Runtime.Lacks = false, "c0"
	_, last := w.settle(t)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonCRIOCrashLooping, last.Problem.Reason)
}
