// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/fileclient"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
)

// remove is what the command of that name does, in a process of its own.
func (b *bench) remove(t *testing.T) error {
	t.Helper()
	wish, err := fileclient.NewRemoval()
	require.NoError(t, err)
	log, _ := test.NewNullLogger()
	agent := &nodeagent.Agent{
		API: wish, Looker: observe.Observer{Host: b.Host(), Self: b.self}, Stepper: b.runner(), Log: log, Now: time.Now, Self: b.self,
		Say: func(string, bool) {}, Hung: func(string) {}, Renew: func(error) {},
	}
	return agent.RemoveAll(t.Context())
}

// byHand is a machine on which payload two was installed, without an API server, and its state
// before that.
func byHand(t *testing.T) (*bench, state) {
	t.Helper()
	b := newBench(t)
	fresh := b.state(t)
	b.shown.Alone, b.shown.Cordoned = true, true
	b.want(t, installing(two()))
	_, last := b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase, last.Wait)
	fresh.starts = b.Starts
	return b, fresh
}

func TestEverythingIsRemovedByHand(t *testing.T) {
	t.Parallel()
	b, fresh := byHand(t)
	require.NoError(t, b.remove(t))
	assert.Equal(t, fresh, b.state(t), "nothing is left, and CRI-O was not restarted")
	before := b.Changes
	require.NoError(t, b.remove(t))
	assert.Equal(t, fresh, b.state(t))
	assert.LessOrEqual(t, b.Changes-before, 2, "the intent comes and goes")
}

func TestARemovalByHandWaitsForPodsAndNamesThem(t *testing.T) {
	t.Parallel()
	b, fresh := byHand(t)
	b.Sandboxes = append(b.Sandboxes,
		host.Sandbox{ID: "s2", Handler: node.Handler, Namespace: "ns", Name: "b", Ready: true},
		host.Sandbox{ID: "s1", Handler: node.Handler, Namespace: "ns", Name: "a", Ready: true},
		host.Sandbox{ID: "s3", Handler: node.Handler, Namespace: "ns", Name: "ended"},
	)
	b.Shims["s1"], b.Shims["s2"] = host.PayloadDir("former")+"/shim", host.PayloadDir("former")+"/shim"
	served := b.state(t)
	require.ErrorContains(t, b.remove(t), "waiting for kata pods to end: ns/a, ns/b; payload 2.0.0")
	assert.Equal(t, served.mounts, b.state(t).mounts)

	b.Silent = true
	require.ErrorContains(t, b.remove(t), "waiting for CRI-O to answer, to learn which kata sandboxes run")
	b.Silent, b.Sandboxes = false, nil
	require.NoError(t, b.remove(t))
	assert.Equal(t, fresh, b.state(t))
}

func TestARemovalByHandThatDiesIsContinued(t *testing.T) {
	t.Parallel()
	whole, want := byHand(t)
	first := whole.Changes
	require.NoError(t, whole.remove(t))
	require.Greater(t, whole.Changes-first, 10)
	for at := first + 1; at <= whole.Changes; at++ {
		for name, set := range map[string]func(b *bench){
			"before": func(b *bench) { b.CrashBefore = at },
			"after":  func(b *bench) { b.CrashAt = at },
		} {
			t.Run(fmt.Sprintf("%s change %d", name, at-first), func(t *testing.T) {
				t.Parallel()
				b, _ := byHand(t)
				set(b)
				_ = b.remove(t) //nolint:errcheck // it may have died when all was done
				require.True(t, b.Dead())
				b.Revive()
				require.NoError(t, b.remove(t))
				assert.Equal(t, want, b.state(t))
			})
		}
	}
}
