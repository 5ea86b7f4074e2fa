// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
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
	assert.FileExists(t, filepath.Join(b.Root, host.SlotDir(s.Slot), "origin.json"))
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
			require.ErrorContains(t, err, "is damaged, discarded and pulled again")
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
		slot, err := b.Files.Readlink(path.Dir(link))
		require.NoError(t, err)
		assert.Contains(t, string(configuration), "kernel = '"+path.Join("/run/kata-agent", slot, "payload", hosttest.KernelFile)+"'")
		shim, err := b.Files.Read(path.Join(link, host.Shim))
		require.NoError(t, err)
		assert.Equal(t, one().Shim, string(shim))
	}
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "b.toml"), []byte("["), 0o600))
	s, f := b.until(t, plan.Configure)
	assert.ErrorContains(t, b.runner().Run(t.Context(), s, f), "b.toml")
}

// onHost is a payload that leaves QEMU and virtiofsd to its host.
func onHost() hosttest.Payload {
	return hosttest.Payload{Version: "4.0.0", Shim: "#!/bin/true four", Requires: manifest.Requires{QEMU: true, Virtiofsd: true}}
}

func TestAPayloadUsesTheProgramsOfItsHost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Registry[onHost().Reference()] = onHost()
	b.want(t, installing(onHost()))
	for _, program := range []string{"/usr/bin/qemu-system-x86_64", "/usr/libexec/virtiofsd"} {
		_, last := b.settle(t)
		require.NotNil(t, last.Problem)
		require.Contains(t, last.Problem.Message, "this host has no ", "the sentence says what is missing and what brings it")
		require.NoError(t, b.Files.Write(program, []byte("#!/bin/true"), 0o755))
	}
	s, f := b.until(t, plan.Configure)
	configuration := func() string {
		text, err := b.Files.Read(path.Join(host.SlotDir(s.Slot), node.ProofHandler, host.Configuration))
		require.NoError(t, err)
		return string(text)
	}
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	assert.Contains(t, configuration(), "\nmachine_type = 'q35'\npath = '/usr/bin/qemu-system-x86_64'\n")
	assert.Contains(t, configuration(), "\nvirtio_fs_daemon = '/usr/libexec/virtiofsd'\n")

	require.NoError(t, b.Files.Write("/usr/libexec/qemu-kvm", []byte("#!/bin/true"), 0o755))
	require.NoError(t, b.Files.Remove("/usr/bin/qemu-system-x86_64"))
	b.settle(t)
	assert.Contains(t, configuration(), "\npath = '/usr/libexec/qemu-kvm'\n", "what has moved is found by the proof")
}

func TestAFileThatAConfigurationNamesHasToBeThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "a.toml"), []byte("[hypervisor.qemu]\nfirmware = '/usr/share/OVMF.fd'\n"), 0o600))
	b.want(t, installing(one()))
	s, f := b.until(t, plan.Configure)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f),
		`hypervisor.qemu.firmware in configuration.toml names "/usr/share/OVMF.fd": no such file or directory: install that file, or name another one in a file in /etc/kata-agent/config.d`)
	assert.NoDirExists(t, filepath.Join(b.Root, host.SlotDir(s.Slot), node.Handler), "nothing is half configured")
	require.NoError(t, b.Files.Write("/usr/share/OVMF.fd", []byte("x"), 0o644))
	require.NoError(t, b.runner().Run(t.Context(), s, f))
}

func TestAKernelThatAPayloadLeavesToPeopleHasToBeNamed(t *testing.T) {
	t.Parallel()
	b, payload := newBench(t), one()
	payload.Requires.Kernel = true
	b.Registry[payload.Reference()] = payload
	fragment := path.Join(host.ConfigDir, "kernel.toml")
	require.NoError(t, b.Files.Write(fragment, []byte("[hypervisor.qemu]\nkernel = ''\n"), 0o600))
	b.want(t, installing(payload))
	s, f := b.until(t, plan.Configure)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "configuration.toml names no kernel: this payload has no kernel for its guests")
	require.NoError(t, b.Files.Write(fragment, []byte("[hypervisor.qemu]\nkernel = '/boot/vmlinux-guest'\n"), 0o600))
	require.NoError(t, b.Files.Write("/boot/vmlinux-guest", []byte("x"), 0o644))
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

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
	assert.NoDirExists(t, filepath.Join(b.Root, host.ProofLogs))
	after := b.look(t)
	assert.Equal(t, serving, after.Slots.Current)
	assert.Equal(t, plan.Prove, plan.For(after).Next()[0].Kind)
}

func TestASandboxWithoutAContainerProvesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hollow := hosttest.Payload{Version: "5", Shim: hosttest.Hollow}
	b.Registry[hollow.Reference()] = hollow
	b.want(t, installing(hollow))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, f := b.until(t, plan.Prove)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), `proving payload "`+hollow.Reference()+`": the container: the file pause was not found`)
	assert.Empty(t, b.Sandboxes, "it is removed all the same")
	assert.Equal(t, plan.Pending, b.look(t).Slots.Current)
}

func TestAProofDependsOnNoEarlierOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, _ := b.until(t, plan.Prove)
	b.Sandboxes = []host.Sandbox{
		{ID: "finished", Handler: node.ProofHandler, Name: "proof-" + s.Slot}, {ID: "running", Handler: node.ProofHandler, Name: "proof-1", Ready: true},
	}
	b.Kept = map[string]bool{"finished": true, "running": true}
	require.NoError(t, b.runner().Run(t.Context(), s, b.look(t)))
	_, last := b.settleSteps(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "although CRI-O removes neither")
	assert.Equal(t, []plan.Step{{Kind: plan.RemoveSandbox, Object: "running"}}, last.Tidy, "what runs is tried again, with nothing waiting for it")
}

func TestProofsThatCannotBeRemovedDoNotPileUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hollow := hosttest.Payload{Version: "5", Shim: hosttest.Hollow}
	b.Registry[hollow.Reference()] = hollow
	b.want(t, installing(hollow))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	for range 3 {
		s, f := b.until(t, plan.Prove)
		r := b.runner()
		r.Host.Sandboxes = sticky{r.Host.Sandboxes}
		require.Error(t, r.Run(t.Context(), s, f))
	}
	require.Len(t, b.Sandboxes, 3)
	last := plan.For(b.look(t))
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonProvePayloadFailed, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "3 sandboxes of earlier proofs still run")
	assert.Len(t, last.Tidy, 3, "their removal is tried")
	require.NoError(t, b.runner().Run(t.Context(), last.Tidy[0], b.look(t)))
	assert.Nil(t, plan.For(b.look(t)).Problem, "there may be another one")
}

// sticky is a CRI-O that answers nothing about a sandbox in which it creates a container.
type sticky struct{ host.Sandboxes }

func (sticky) Remove(context.Context, string) error { return context.DeadlineExceeded }

func TestACRIOWithoutTheHandlersIsRecordedAsLackingThem(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	require.NoError(t, b.runner().Run(t.Context(), s, f), "it is an answer")
	again := b.look(t)
	assert.Equal(t, b.CRIO.Invocation, again.Runtime.Lacks)
	assert.Equal(t, plan.RestartCRIO, plan.For(again).Next()[0].Kind)
	b.settle(t)
	assert.Empty(t, b.look(t).Runtime.Lacks, "the proof ends it")
}

func TestAProofDuringWhichCRIOWasRestartedSaysNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, f := b.until(t, plan.Prove)
	r := b.runner()
	r.Host.Sandboxes = restless{r.Host.Sandboxes, b}
	require.ErrorContains(t, r.Run(t.Context(), s, f), "CRI-O was restarted during the proof")
	slot := b.look(t).Slots.All[0]
	assert.Empty(t, slot.Proved)
}

func TestWhatIsProvedIsWhatPodsGet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers, b.ForeignShim = []string{node.Handler, node.ProofHandler}, "/usr/bin/runc"
	done, last := b.settle(t)
	assert.Contains(t, done, plan.RestartCRIO, "the running CRI-O has read a file that is no longer there")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

// restless is a CRI-O that starts anew while it proves.
type restless struct {
	host.Sandboxes
	b *bench
}

func (r restless) Prove(ctx context.Context, handler, name string) (string, error) {
	r.b.CRIO.Invocation += "0"
	return r.Sandboxes.Prove(ctx, handler, name)
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

func TestMarksEndWithTheirMount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	serving := b.look(t).Slots.Current
	require.NoError(t, b.Host().Mounts.Unmount(host.PayloadDir(serving)))

	f := b.look(t)
	_, serves := f.Serving()
	assert.False(t, serves)
	assert.Equal(t, plan.Step{Kind: plan.PointCurrent, Slot: plan.Pending}, plan.For(f).Next()[0], "no link leads to what is not mounted")
	done, last := b.settle(t)
	assert.Equal(t, []plan.Kind{
		plan.PointCurrent, plan.PointProof, plan.Mount, plan.Verify, plan.PointCurrent, plan.PointProof, plan.Prove,
	}, done, "and its files are compared again before they are served")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestAPassingErrorDiscardsNothing(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	r := b.runner()
	r.Host.Images = failing{r.Host.Images}
	require.ErrorIs(t, r.Run(t.Context(), s, f), unix.ENOSPC)
	assert.Len(t, b.Images, 1)
}

func TestAMountThatTheKernelRefusesDiscardsNoWholeImage(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	r := b.runner()
	r.Host.Mounts = cut{r.Host.Mounts}
	require.ErrorIs(t, r.Run(t.Context(), s, f), unix.ENOENT)
	assert.Len(t, b.Images, 1, "each layer is there")
}

func TestAStoreThatCannotBeReadIsMountedFrom(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	r := b.runner()
	r.Host.Images = shut{r.Host.Images}
	require.NoError(t, r.Run(t.Context(), s, f))
	require.NoError(t, r.Run(t.Context(), plan.Step{Kind: plan.Verify, Payload: s.Payload, Slot: s.Slot}, f))
	s.Payload = "r.example/p@sha256:none"
	assert.ErrorIs(t, r.Run(t.Context(), s, f), unix.ENOSPC)
}

// shut is a store that cannot be opened, and knows its images all the same.
type shut struct{ host.Images }

func (s shut) List(ctx context.Context) ([]host.Image, error) {
	images, err := s.Images.List(ctx)
	return images, errors.Join(err, unix.ENOSPC)
}

// cut is a kernel that has cut a long list of layers and finds no file of the last name.
type cut struct{ host.Mounts }

func (cut) Overlay([]string, string) error { return unix.ENOENT }

// failing is a store on a full disk.
type failing struct{ host.Images }

func (failing) Layers(context.Context, string) ([]string, error) {
	return nil, fmt.Errorf("looking up layer: %w", unix.ENOSPC)
}

func TestAManifestThatIsNoFileIsRefusedAndNotFollowed(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(file string) error{
		"a FIFO":     func(file string) error { return unix.Mkfifo(file, 0o644) },
		"a link out": func(file string) error { return os.Symlink("/proc/version", file) },
		"a sparse gigabyte": func(file string) error {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(file, 1<<30)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s, f := stopped(t, plan.Verify)
			file := filepath.Join(b.Root, host.PayloadDir(s.Slot), manifest.Path)
			require.NoError(t, os.Remove(file))
			require.NoError(t, replace(file))
			require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "is damaged, discarded and pulled again")
			assert.Empty(t, b.Images)
		})
	}
}

func TestAPayloadThatCRIODoesNotSeeIsNotProved(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	b.Hidden = true
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "does not see it")
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

// A restart that is no reboot: services and mounts end, /run and the boot id stay.
func TestLinksAreRepairedBeforeCRIOStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	require.NoError(t, b.runner().RepairLinks(t.Context()))
	assert.NotEqual(t, plan.Pending, b.look(t).Slots.Current, "what is sound is left alone")

	require.NoError(t, b.Host().Mounts.Unmount(b.Mounts[0]))
	require.NoError(t, b.Files.Remove(host.ProofLink))
	require.NoError(t, b.runner().RepairLinks(t.Context()))
	for _, link := range []string{host.CurrentLink, host.ProofLink} {
		target, err := b.Files.Readlink(link)
		require.NoError(t, err)
		assert.Equal(t, host.Target(host.Pending), target)
	}
	assert.Empty(t, plan.Repair(b.look(t).Slots))
}
