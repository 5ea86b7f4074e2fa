// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestARestartThatFailsIsTold(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.RestartCRIO)
	b.RestartError = errors.New("restarting crio.service: job failed")
	require.ErrorIs(t, b.runner().Run(t.Context(), s, f), b.RestartError)
	assert.True(t, b.KubeletDown, "systemd stops it with CRI-O")
	require.ErrorIs(t, b.runner().Run(t.Context(), s, b.look(t)), b.RestartError, "tried again")
	b.RestartError = nil
	_, last := b.settle(t)
	assert.False(t, b.KubeletDown, "it is started again")
	assert.Empty(t, last.Tidy, "once")
	assert.Equal(t, node.PhaseInstalled, last.Phase, "the grant is not spent before CRI-O has restarted")
	assert.Equal(t, 2, b.Starts)
}

func TestACRIOThatWouldNotStartAgainIsLeftRunning(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.RestartCRIO)
	b.CheckError = errors.New("crio config: exit status 1: .half: no TOML")
	starts := b.Starts
	err := b.runner().Run(t.Context(), s, f)
	require.ErrorIs(t, err, b.CheckError)
	require.ErrorContains(t, err, "CRI-O is left running")
	assert.Equal(t, starts, b.Starts)
	assert.Empty(t, b.look(t).Runtime.Restarted, "the grant is not used")
}

// A frozen process continues where it stopped: its grant may be another node's by then.
func TestCRIOIsNotRestartedByAnOldObservation(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		since   time.Duration
		refused bool
	}{
		"a moment ago":              {time.Second, false},
		"the clock was set back":    {-time.Hour, false},
		"the process was suspended": {time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s, f := stopped(t, plan.RestartCRIO)
			r := b.runner()
			r.Now = func() time.Time { return f.At.Round(0).Add(x.since) }
			starts := b.Starts
			err := r.Run(t.Context(), s, f)
			if !x.refused {
				require.NoError(t, err)
				assert.Greater(t, b.Starts, starts)
				return
			}
			require.ErrorContains(t, err, "its restart was planned 1h0m0s ago")
			assert.Equal(t, starts, b.Starts)
			assert.Empty(t, b.look(t).Runtime.Restarted, "the grant is not used")
		})
	}
}

func TestWhatTheNodeHadIsNotedBeforeTheRestartAndForgottenOnceItIsThere(t *testing.T) {
	t.Parallel()
	b, s, _ := stopped(t, plan.RestartCRIO)
	b.shown.Kubelet = cluster.Kubelet{Ready: true, Heartbeat: time.Unix(1, 0).UTC(), Resources: map[string]int64{"example.com/device": 2}}
	require.NoError(t, b.runner().Run(t.Context(), s, b.look(t)))
	assert.Equal(t, record.Kubelet(b.shown.Kubelet), *b.look(t).Runtime.Restarted.Before)
	b.shown.Kubelet.Heartbeat = time.Unix(2, 0)
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Nil(t, b.look(t).Runtime.Restarted.Before)
	assert.NotEmpty(t, b.look(t).Runtime.Restarted.Intent, "the grant stays used")
}
