// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// drain is the API server's part of a reboot. Its changes pass the machine's gate, as those of the
// host do.
type drain struct{ b *bench }

func (d drain) Cordon(_ context.Context, boot string) error {
	return d.b.Change("cordon", func() error {
		if !d.b.shown.Cordoned {
			d.b.shown.Cordoned, d.b.shown.CordonedIn = true, boot
		}
		return nil
	})
}

func (d drain) Uncordon(context.Context) error {
	return d.b.Change("uncordon", func() error {
		if d.b.shown.CordonedIn != "" {
			d.b.shown.Cordoned, d.b.shown.CordonedIn = false, ""
		}
		return nil
	})
}

func (d drain) Evict(context.Context) error {
	return d.b.Change("evict", func() error {
		if d.b.guarded == nil {
			d.b.shown.Evictable = nil
		}
		return d.b.guarded
	})
}

func (d drain) Vacant(context.Context) error {
	late := d.b.bound
	if len(late) == 0 {
		return nil
	}
	d.b.shown.Evictable, d.b.bound = late, nil
	return errors.New("pod " + late[0] + " runs here")
}

const kernelUpdate = "a new kernel"

// needsReboot is a machine that serves payload one, runs a pod, and may reboot for a new kernel.
func needsReboot(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	b.shown.Evictable = []string{"ns/pod"}
	b.asks(t, kernelUpdate)
	return b
}

// asks writes what the host has to be rebooted for. The controller grants it.
func (b *bench) asks(t *testing.T, why string) {
	t.Helper()
	require.NoError(t, b.Files.Write(host.RebootRequiredFile, []byte(why+"\n"), 0o600))
	b.mayReboot = b.self.BootID
	b.want(t, installing(one()))
}

// goesDown settles until the host has accepted a reboot.
func (b *bench) goesDown(t *testing.T) (done []plan.Kind) {
	t.Helper()
	done, last := b.settle(t)
	require.True(t, b.GoingDown, "done %v, waits for %q: %v", done, last.Leaving, last.Problem)
	assert.True(t, b.shown.Cordoned)
	assert.Empty(t, b.shown.Evictable)
	return done
}

// comesUp boots the machine and settles.
func (b *bench) comesUp(t *testing.T) (done []plan.Kind, last plan.Plan) {
	t.Helper()
	require.NoError(t, b.Boot())
	b.self.BootID += "0"
	return b.settle(t)
}

func TestANodeIsDrainedRebootedAndPutBackIntoService(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	assert.Equal(t, []plan.Kind{plan.Cordon, plan.Drain, plan.RebootNode}, b.goesDown(t))
	kept, err := record.LoadRebooted(b.Files)
	require.NoError(t, err)
	assert.Equal(t, record.Rebooted{Boot: bootID, Reason: kernelUpdate}, kept)
	done, last := b.comesUp(t)
	assert.Equal(t, plan.Uncordon, done[0], "pods need not wait for the payload: the label and CRI-O say what they may use")
	assert.Contains(t, done, plan.ForgetReboot)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.False(t, b.shown.Cordoned)
	assert.NotContains(t, b.state(t).files, host.RebootedFile[1:])
}

// Each change of a reboot is once the last one of an agent's life, and once the one that it does
// not live to make.
func TestAnAgentThatDiesAroundAnyChangeOfARebootGetsToTheSameEnd(t *testing.T) {
	t.Parallel()
	life := func(t *testing.T, b *bench) state {
		t.Helper()
		b.goesDown(t)
		_, last := b.comesUp(t)
		require.Equal(t, node.PhaseInstalled, last.Phase, "waits for %q: %v", last.Wait, last.Problem)
		assert.False(t, b.shown.Cordoned)
		assert.Empty(t, b.shown.CordonedIn)
		return b.state(t)
	}
	whole := needsReboot(t)
	from := whole.Changes
	want := life(t, whole)
	for at := 1; at <= whole.Changes-from; at++ {
		for name, set := range map[string]func(b *bench){
			"before": func(b *bench) { b.CrashBefore = b.Changes + at }, "after": func(b *bench) { b.CrashAt = b.Changes + at },
		} {
			t.Run(fmt.Sprintf("%s change %d", name, at), func(t *testing.T) {
				t.Parallel()
				b := needsReboot(t)
				set(b)
				assert.Equal(t, want, life(t, b))
				assert.Positive(t, b.Lives)
			})
		}
	}
}

func TestARebootThatDidNotHelpIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	b.goesDown(t)
	b.comesUp(t)
	b.asks(t, kernelUpdate)
	b.goesDown(t)
	require.NoError(t, b.Boot())
	b.self.BootID += "1"
	b.asks(t, kernelUpdate)
	done, last := b.settle(t)
	assert.NotContains(t, done, plan.RebootNode)
	assert.False(t, b.GoingDown)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonRebootInVain, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, kernelUpdate)
	assert.Empty(t, last.Reboot, "it asks for no grant")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.False(t, b.shown.Cordoned, "it serves")

	b.asks(t, "firmware")
	assert.Contains(t, b.goesDown(t), plan.RebootNode, "another reason is another reboot")
}

func TestANodeWhosePodMayNotBeEvictedStaysUp(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	b.guarded = errors.New("evicting pod ns/pod: it would violate the pod's disruption budget")
	s, f := b.until(t, plan.Drain)
	require.ErrorIs(t, b.runner().Run(t.Context(), s, f), b.guarded)
	again := plan.For(b.look(t))
	assert.Equal(t, "pods to be evicted: ns/pod", again.Leaving)
	assert.Equal(t, plan.Drain, again.Next()[0].Kind, "it is tried again")
	assert.False(t, b.GoingDown)
	b.guarded = nil
	b.goesDown(t)
}

func TestARebootThatIsRefusedIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	b.RebootError = errors.New("an inhibitor is held")
	s, f := b.until(t, plan.RebootNode)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "rebooting this node for "+kernelUpdate+": an inhibitor is held")
	b.RebootError = nil
	b.goesDown(t)
}

func TestAPodThatTheSchedulerBoundAfterTheCordonIsEvictedBeforeTheReboot(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	s, f := b.until(t, plan.RebootNode)
	b.bound = []string{"ns/late"}
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "rebooting this node for "+kernelUpdate+": pod ns/late runs here")
	assert.False(t, b.GoingDown)
	kept, err := record.LoadRebooted(b.Files)
	require.NoError(t, err)
	assert.Empty(t, kept, "no reboot was asked for")
	assert.Equal(t, []plan.Kind{plan.Drain, plan.RebootNode}, b.goesDown(t))
}

func TestTheNodeOfAGrantThatIsTakenBackServesAgain(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	b.until(t, plan.Drain)
	b.mayReboot = ""
	b.want(t, installing(one()))
	done, _ := b.settle(t)
	assert.Equal(t, []plan.Kind{plan.Uncordon}, done)
	assert.False(t, b.shown.Cordoned)
}

func TestACordonOfAnotherPersonOutlastsTheReboot(t *testing.T) {
	t.Parallel()
	b := needsReboot(t)
	b.shown.Cordoned = true
	assert.Equal(t, []plan.Kind{plan.Drain, plan.RebootNode}, b.goesDown(t))
	done, last := b.comesUp(t)
	assert.NotContains(t, done, plan.Uncordon)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.True(t, b.shown.Cordoned)
}
