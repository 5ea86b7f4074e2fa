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

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func says(ready bool, beat time.Time, devices int64) record.Kubelet {
	return record.Kubelet{Ready: ready, Heartbeat: beat, Resources: map[string]int64{device: devices, "example.com/other": 1}}
}

// restarted is an installed node, a minute after the agent has restarted its CRI-O.
func restarted(t *testing.T) world {
	t.Helper()
	w := installed(t, "a")
	before := says(true, noon().Add(-time.Minute), 2)
	w.facts.Runtime.Restarted.Before = &before
	w.facts.Runtime.Since = noon().Add(time.Millisecond)
	w.facts.At = noon().Add(time.Minute)
	return w
}

func TestANodeIsDoneOnceItHasAllThatItHadBeforeTheRestartOfCRIO(t *testing.T) {
	t.Parallel()
	const kubelet = "the kubelet to be Ready again after the restart of CRI-O: see journalctl -u kubelet"
	for name, c := range map[string]struct {
		now  record.Kubelet
		wait string
	}{
		"nothing is said since":         {says(true, noon().Add(-time.Minute), 2), kubelet},
		"said while CRI-O was down":     {says(true, noon().Add(-time.Second), 2), kubelet},
		"nothing is said at all":        {record.Kubelet{}, kubelet},
		"the kubelet is not Ready":      {says(false, noon().Add(time.Second), 2), kubelet},
		"a device plugin is still away": {says(true, noon().Add(time.Second), 0), "device plugins to register again after the restart of CRI-O, for example.com/device (0 of 2)"},
		"a device is missing":           {says(true, noon().Add(time.Second), 1), "device plugins to register again after the restart of CRI-O, for example.com/device (1 of 2)"},
		"all is there in that second":   {says(true, noon(), 2), ""},
		"there is more than before":     {says(true, noon().Add(time.Second), 3), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := restarted(t)
			w.facts.Cluster.Kubelet = c.now
			done, last := w.settle(t)
			assert.Equal(t, c.wait, last.Wait)
			assert.Nil(t, last.Problem)
			if c.wait != "" {
				assert.Empty(t, done)
				assert.Equal(t, node.PhaseInstalling, last.Phase)
				return
			}
			assert.Equal(t, []plan.Kind{plan.ConfirmNode}, done)
			assert.Equal(t, node.PhaseInstalled, last.Phase)
			w.facts.Cluster.Kubelet = says(true, noon().Add(time.Hour), 0)
			assert.Equal(t, node.PhaseInstalled, plan.For(w.facts).Phase, "what is lost later is not ours")
		})
	}
}

func TestWhatDoesNotComeBackForLongIsAnErrorOfADoneNode(t *testing.T) {
	t.Parallel()
	w := restarted(t)
	w.facts.Cluster.Kubelet = says(true, noon().Add(time.Second), 0)
	w.facts.At = noon().Add(11 * time.Minute)
	p := plan.For(w.facts)
	assert.Equal(t, node.PhaseInstalled, p.Phase)
	assert.Empty(t, p.Wait)
	require.NotNil(t, p.Problem)
	assert.Equal(t, node.ReasonNodeNotRestored, p.Problem.Reason)
	assert.Equal(t, "waited 10m0s in vain for device plugins to register again after the restart of CRI-O, for example.com/device (0 of 2)", p.Problem.Message)

	w.facts.Cluster.Kubelet = says(true, noon().Add(time.Second), 2)
	_, last := w.settle(t)
	assert.Nil(t, last.Problem)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestAnotherStartOfCRIOBeginsTheWaitAnew(t *testing.T) {
	t.Parallel()
	w := restarted(t)
	w.facts.Cluster.Kubelet = says(true, noon().Add(time.Second), 2)
	w.facts.Runtime.Since = noon().Add(30 * time.Second)
	assert.Contains(t, plan.For(w.facts).Wait, "the kubelet to be Ready again")
}

func TestARestartThatHasNotHappenedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := restarted(t)
	w.facts.Runtime.Restarted.Invocation = w.facts.Runtime.Invocation
	assert.Equal(t, node.PhaseInstalled, plan.For(w.facts).Phase)
}

func TestWhatTheNodeHasToHaveAgain(t *testing.T) {
	t.Parallel()
	former := says(true, noon(), 2)
	for name, c := range map[string]struct {
		now    record.Kubelet
		former *record.Kubelet
		want   *record.Kubelet
	}{
		"without a Node nothing":                          {},
		"of a node that was not Ready nothing":            {now: says(false, noon(), 2)},
		"of a Node that no kubelet has confirmed nothing": {now: says(true, time.Time{}, 2)},
		"what it has": {now: former, want: &former},
		"what it had before an earlier restart": {
			now: says(true, noon().Add(time.Hour), 1), former: &former, want: &record.Kubelet{Ready: true, Heartbeat: noon().Add(time.Hour), Resources: former.Resources},
		},
		"the same where it is not Ready at the second one": {now: says(false, noon().Add(time.Hour), 0), former: &former, want: &former},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := plan.Facts{Cluster: plan.Cluster{Kubelet: c.now}, Runtime: plan.Runtime{Restarted: record.Restarted{Before: c.former}}}
			assert.Equal(t, c.want, f.Before())
		})
	}
}
