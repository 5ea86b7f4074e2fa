// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/dropin"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/step"
	"github.com/kata-node/kata-node/payload/manifest"
)

// stopped is a new machine on the way to payload one, before a step of that kind.
func stopped(t *testing.T, kind plan.Kind) (*bench, plan.Step, plan.Facts) {
	t.Helper()
	b := newBench(t)
	b.want(t, installing(one()))
	s, f := b.until(t, kind)
	return b, s, f
}

func TestTheIntentIsKeptWithoutItsGrants(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Keep)
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	document, err := b.Files.Read(host.IntentFile)
	require.NoError(t, err)
	kept, err := node.DecodeIntent(string(document))
	require.NoError(t, err)
	assert.Equal(t, f.Intent.Wanted.ID, kept.ID)
	assert.Empty(t, kept.Grants)
}

func TestAPullTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Pull)
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	require.NotEmpty(t, b.said)
	assert.Contains(t, b.said[0], "pulling payload "+one().Reference())
}

func TestAPayloadThatTheRegistryDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Pull)
	delete(b.Registry, one().Reference())
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), one().Reference())
}

func TestAMountHasItsOriginBeforeItIsThere(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	b.CrashAt = b.Changes + 1
	require.ErrorIs(t, b.runner().Run(t.Context(), s, f), hosttest.ErrCrash)
	assert.Empty(t, b.Mounts)
	assert.FileExists(t, filepath.Join(b.Root, record.OriginFile(s.Slot)))
}

func TestAnImageWithoutItsLayersIsDiscarded(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	require.NoError(t, os.RemoveAll(filepath.Join(b.Root, host.StoreDir)))
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "mounting payload ")
	assert.Empty(t, b.Images)
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestWhatIsNotTheManifestsIsDiscardedAndPulledAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, content, says string }{
		"a changed file":   {hosttest.ShimFile, "#!/bin/true onf", "usr/bin/containerd-shim-kata-v2: sha256 is "},
		"a shorter file":   {hosttest.ConfigFile, "", hosttest.ConfigFile},
		"a file too many":  {"usr/bin/extra", "x", "usr/bin/extra"},
		"another manifest": {manifest.Path, "{}", manifest.Path + ": sha256 is "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			damaged := one()
			damaged.Damage = map[string]string{c.file: c.content}
			b.Registry[one().Reference()] = damaged
			b.want(t, installing(one()))
			s, f := b.until(t, plan.Verify)
			err := b.runner().Run(t.Context(), s, f)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "it is discarded and pulled again")
			assert.Empty(t, b.Images)
			assert.Empty(t, b.Mounts)
			assert.NoDirExists(t, filepath.Join(b.Root, host.SlotDir(s.Slot)))

			b.Registry[one().Reference()] = one()
			_, last := b.settle(t)
			assert.Equal(t, node.PhaseInstalled, last.Phase)
		})
	}
}

func TestAPayloadWithoutOurHandlerIsNamed(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Configure)
	document := filepath.Join(b.Root, host.PayloadDir(s.Slot), manifest.Path)
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	m, err := manifest.Decode(content)
	require.NoError(t, err)
	m.Handlers[0].Name = "kata-fc"
	content, err = manifest.Encode(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(document, content, 0o600))
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "offers no handler kata-oc")
}

func TestConfigurationOfBothHandlersHasTheAdministratorsFragments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "a.toml"), []byte("[runtime]\nenable_debug = true\n"), 0o600))
	b.want(t, installing(one()))
	b.settle(t)
	for _, link := range []string{host.CurrentLink + "/kata-oc", host.ProofLink + "/kata-oc-proof"} {
		configuration, err := b.Files.Read(path.Join(link, host.Configuration))
		require.NoError(t, err)
		assert.Contains(t, string(configuration), "enable_debug = true")
		assert.Contains(t, string(configuration), "version = '1.0.0'")
		shim, err := b.Files.Read(path.Join(link, host.Shim))
		require.NoError(t, err)
		assert.Equal(t, one().Shim, string(shim))
	}
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "b.toml"), []byte("["), 0o600))
	s, f := b.until(t, plan.Configure)
	assert.ErrorContains(t, b.runner().Run(t.Context(), s, f), "b.toml")
}

// restless is a systemd whose CRI-O starts by itself some times while it is looked at.
type restless struct {
	host.Services
	b     *bench
	times int
}

func (r *restless) Unit(ctx context.Context, name string) (host.Unit, error) {
	u, err := r.Services.Unit(ctx, name)
	if r.times > 0 {
		r.times--
		r.b.CRIO.Invocation += "0"
	}
	return u, err
}

func TestTheDropInNamesTheCRIOThatMayNotHaveReadIt(t *testing.T) {
	t.Parallel()
	for times := range 4 {
		b, s, f := stopped(t, plan.WriteDropIn)
		r := b.runner()
		r.Host.Services = &restless{r.Host.Services, b, times}
		require.NoError(t, r.Run(t.Context(), s, f))
		content, err := b.Files.Read(host.DropIn)
		require.NoError(t, err)
		stamp, ours := dropin.Read(content)
		assert.True(t, ours)
		assert.Equal(t, dropin.Stamp{Invocation: b.CRIO.Invocation, BootID: bootID}, stamp, "after %d starts", times)
	}
}

func TestARestartThatFailsIsTold(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.RestartCRIO)
	b.RestartError = errors.New("restarting crio.service: job failed")
	require.ErrorIs(t, b.runner().Run(t.Context(), s, f), b.RestartError)
	b.RestartError = nil
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "the grant is not spent before CRI-O has restarted")
	assert.Equal(t, 2, b.Starts)
}

func TestAProofThatFailsLeavesCurrentAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	serving := b.look(t).Slots.Current
	broken := hosttest.Payload{Version: "3", Shim: hosttest.Broken}
	b.Registry[broken.Reference()] = broken
	b.want(t, installing(broken))
	s, f := b.until(t, plan.Prove)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), `proving payload "`+broken.Reference()+`": the shim exited: exit status 1`)
	after := b.look(t)
	assert.Equal(t, serving, after.Slots.Current)
	assert.Equal(t, plan.Prove, plan.For(after).Steps[0].Kind)
}

func TestAnEarlierProofIsRemovedFirst(t *testing.T) {
	t.Parallel()
	b, s, _ := stopped(t, plan.Prove)
	b.Sandboxes = []host.Sandbox{
		{ID: "old", Handler: node.ProofHandler, Name: "proof-" + s.Slot, Ready: true}, {ID: "theirs", Handler: node.Handler, Name: "pod", Ready: true},
	}
	require.NoError(t, b.runner().Run(t.Context(), s, b.look(t)))
	require.Len(t, b.Sandboxes, 1)
	assert.Equal(t, "theirs", b.Sandboxes[0].ID)
}

func TestACRIOThatLostTheHandlersIsRestarted(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	b.Handlers = nil
	var unknown *host.UnknownHandler
	require.ErrorAs(t, b.runner().Run(t.Context(), s, f), &unknown)
	again := b.look(t)
	assert.Equal(t, b.CRIO.Invocation, again.Runtime.DropIn.Invocation, "whatever the old stamp said, this CRI-O has not taken them")
	assert.True(t, again.Runtime.DropIn.Right)
}

func TestAPayloadThatCRIODoesNotSeeIsNotProved(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	b.Hidden = true
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "CRI-O (process 1002) does not see it")
	assert.Empty(t, b.Sandboxes)
}

func TestAVersionInUseStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	b.Busy[b.Mounts[0]] = true
	before := b.state(t)
	err := b.runner().Run(t.Context(), plan.Step{Kind: plan.Unmount, Slot: b.look(t).Slots.Current}, plan.Facts{})
	require.ErrorIs(t, err, unix.EBUSY)
	assert.Equal(t, before, b.state(t))
}

func TestMountsInAndOnAPayloadGoFromTheLastToTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	b.Mounts = append(b.Mounts, b.Mounts[0], b.Mounts[0]+"/usr")
	require.NoError(t, b.runner().Run(t.Context(), plan.Step{Kind: plan.Unmount, Slot: b.look(t).Slots.Current}, plan.Facts{}))
	assert.Empty(t, b.Mounts)
}

func TestAStepThatNobodyKnowsIsRefused(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, step.Runner{}.Run(t.Context(), plan.Step{Kind: "dance"}, plan.Facts{}), `step "dance" is unknown`)
}
