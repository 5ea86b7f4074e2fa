// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func kindsOf(steps []plan.Step) (kinds []plan.Kind) {
	for _, s := range steps {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

// spoilt serves payload one and is on its way to one whose shim ends at once.
func spoilt(t *testing.T) (*bench, hosttest.Payload) {
	t.Helper()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	broken := hosttest.Payload{Version: "3", Shim: hosttest.Broken}
	b.Registry[broken.Reference()] = broken
	b.want(t, installing(broken))
	return b, broken
}

// wear takes steps, whatever comes of them, until the plan has none.
func (b *bench) wear(t *testing.T) (tried []plan.Kind, last plan.Plan) {
	t.Helper()
	for range 30 {
		f := b.look(t)
		if last = plan.For(f); len(last.Lines) == 0 {
			return tried, last
		}
		s := last.Next()[0]
		_ = b.runner().Run(t.Context(), s, f) //nolint:errcheck // what is planned next shows it
		tried = append(tried, s.Kind)
	}
	return tried, last
}

func TestAPayloadThatFailsWhereTheFormerPassesIsGivenUp(t *testing.T) {
	t.Parallel()
	b, broken := spoilt(t)
	serving := b.look(t).Slots.Current
	tried, last := b.wear(t)
	assert.Equal(t, []plan.Kind{plan.Prove, plan.PointProof, plan.Control, plan.PointProof, plan.Prove}, tried[len(tried)-5:])
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonPayloadGivenUp, last.Problem.Reason)
	for _, part := range []string{"payload 3 (sha256:", "payload 1.0.0 (sha256:", "the shim exited: exit status 1"} {
		assert.Contains(t, last.Problem.Message, part)
	}
	assert.LessOrEqual(t, len(last.Problem.Message), 400, "a report keeps all of it")
	assert.Equal(t, serving, b.look(t).Slots.Current)
	assert.Empty(t, b.Sandboxes)

	b.want(t, installing(one()))
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "the former one is named again")
	require.Contains(t, b.Registry, broken.Reference())
	assert.Len(t, b.Images, 1, "nothing is left of it")
}

func TestWhereTheFormerFailsTooNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	b, _ := spoilt(t)
	s, f := b.until(t, plan.Prove)
	require.Error(t, b.runner().Run(t.Context(), s, f))
	s, f = b.until(t, plan.Control)
	r := b.runner()
	r.Host.Sandboxes = sandboxless{r.Host.Sandboxes, errors.New("no /dev/kvm")}
	require.NoError(t, r.Run(t.Context(), s, f), "it is an answer")
	last := plan.For(b.look(t))
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonProvePayloadFailed, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "the cause is this host: no /dev/kvm")
	assert.Contains(t, kindsOf(last.Steps()), plan.Prove)
}

func TestAControlForWhichTheHostLacksSomethingSaysNothing(t *testing.T) {
	t.Parallel()
	b, _ := spoilt(t)
	s, f := b.until(t, plan.Prove)
	require.Error(t, b.runner().Run(t.Context(), s, f))
	s, f = b.until(t, plan.Control)
	r := b.runner()
	r.Host.Sandboxes = sandboxless{r.Host.Sandboxes, &host.Strained{Err: errors.New("there is no memory left")}}
	require.ErrorContains(t, r.Run(t.Context(), s, f), "for comparison: there is no memory left")
	assert.Equal(t, s, plan.For(b.look(t)).Next()[0], "it is tried again")
}

func TestAProofThatLacksMemoryDoesNotCountAtOnce(t *testing.T) {
	t.Parallel()
	b, _ := spoilt(t)
	s, f := b.until(t, plan.Prove)
	r := b.runner()
	r.Host.Sandboxes = sandboxless{r.Host.Sandboxes, &host.Strained{Err: errors.New("there is no memory left")}}
	require.Error(t, r.Run(t.Context(), s, f))
	assert.Equal(t, s, plan.For(b.look(t)).Next()[0], "it is tried again, without a control")
}

// sandboxless is a CRI-O that starts no sandbox.
type sandboxless struct {
	host.Sandboxes
	err error
}

func (r sandboxless) Prove(context.Context, string, string) (string, error) { return "", r.err }
