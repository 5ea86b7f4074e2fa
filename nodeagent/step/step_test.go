// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/step"
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
	r := b.runner()
	var figures []host.Progress
	r.Progressed = func(p host.Progress) { figures = append(figures, p) }
	require.NoError(t, r.Run(t.Context(), s, f))
	assert.Equal(t, []string{"pulling payload " + one().Reference() + ": 12 of 324 MB"}, b.said, "for STATUS=")
	assert.Equal(t, []host.Progress{{Done: 12e6, Total: 324e6}}, figures, "for metrics")
}

func TestAPayloadThatTheRegistryDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Pull)
	delete(b.Registry, one().Reference())
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), one().Reference())
}

func TestAStepThatNobodyKnowsIsRefused(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, step.Runner{}.Run(t.Context(), plan.Step{Kind: "dance"}, plan.Facts{}), `step "dance" is unknown`)
}

// A restart that is no reboot: services and mounts end, /run and the boot id stay.
func TestLinksAreRepairedBeforeCRIOStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	require.NoError(t, b.runner().Prepare(t.Context()))
	assert.NotEqual(t, plan.Pending, b.look(t).Slots.Current, "what is sound is left alone")

	require.NoError(t, b.Host().Mounts.Unmount(b.Mounts[0]))
	require.NoError(t, b.Files.Remove(host.ProofLink))
	require.NoError(t, b.runner().Prepare(t.Context()))
	for _, link := range []string{host.CurrentLink, host.ProofLink} {
		target, err := b.Files.Readlink(link)
		require.NoError(t, err)
		assert.Equal(t, host.Target(host.Pending), target)
	}
	assert.Empty(t, plan.Repair(b.look(t).Slots))
}

// The machine-config operator lets a new node reboot into its own system, or finds that it runs
// that already and goes on in the same boot. Either way the mark ends.
func TestANewNodeIsInstalledOnceItsFirstBootIsOver(t *testing.T) {
	t.Parallel()
	const mark = "/etc/ignition-machine-config-encapsulated.json"
	for name, over := range map[string]func(t *testing.T, b *bench){
		"in the same boot": func(*testing.T, *bench) {},
		"by a reboot": func(t *testing.T, b *bench) {
			t.Helper()
			require.NoError(t, b.Boot())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			require.NoError(t, b.Files.Write(mark, []byte(strings.Repeat("x", 3<<20)), 0o600))
			b.want(t, installing(one()))
			done, last := b.settle(t)
			assert.Equal(t, []plan.Kind{plan.Keep}, done, "nothing but the intent is kept")
			assert.NotEqual(t, node.PhaseInstalled, last.Phase)
			assert.Contains(t, b.look(t).Host.Problem, "not yet rebooted")

			require.NoError(t, os.Rename(filepath.Join(b.Root, mark), filepath.Join(b.Root, mark+".bak")))
			over(t, b)
			b.want(t, installing(one()))
			_, last = b.settle(t)
			assert.Equal(t, node.PhaseInstalled, last.Phase)
		})
	}
}

func TestAnArmedHostGetsItsDropInBeforeCRIOStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.runner().Prepare(t.Context()))
	assert.NoFileExists(t, b.Files.Path(host.DropIn), "it is not armed")

	b.self.Arm = true
	require.NoError(t, b.Files.Write("/etc/ignition-machine-config-encapsulated.json", nil, 0o600))
	require.NoError(t, b.runner().Prepare(t.Context()))
	assert.NoFileExists(t, b.Files.Path(host.DropIn), "nothing is changed before the host has its own operating system")

	require.NoError(t, b.Files.Remove("/etc/ignition-machine-config-encapsulated.json"))
	require.NoError(t, b.runner().Prepare(t.Context()))
	assert.True(t, b.look(t).Runtime.DropIn.Right)
	assert.Empty(t, plan.For(b.look(t)).Lines, "and nothing else is done")
}

func TestALinkStaysWhereOnlyANewerAgentCanSayWhatItLeadsTo(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"origin.json", "verified.json"} {
		b := newBench(t)
		b.want(t, installing(one()))
		b.settle(t)
		current := b.look(t).Slots.Current
		require.NotEqual(t, plan.Pending, current)
		require.NoError(t, b.Files.Write(host.SlotDir(current)+"/"+file, []byte(`{"revision":2}`), 0o600))
		require.ErrorContains(t, b.runner().Prepare(t.Context()), file+" has form 2 of a newer agent", "the agent starts all the same, and changes nothing")
		target, err := b.Files.Readlink(host.CurrentLink)
		require.NoError(t, err)
		assert.Equal(t, host.Target(current), target, file)
	}
}
