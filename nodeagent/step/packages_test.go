// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

// needy is a payload that leaves QEMU and virtiofsd to its host, and has packages of them.
func needy(version string) hosttest.Payload {
	return hosttest.Payload{
		Version: version, Shim: "#!/bin/true " + version, Requires: manifest.Requires{QEMU: true, Virtiofsd: true},
		Packages: map[string]string{"qemu-kvm-core": version, "virtiofsd": "1.13"},
	}
}

// coreOS is a machine with rpm-ostree that can pull two such payloads.
func coreOS(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.BootOSTree()
	for _, version := range []string{"9.1", "10.0"} {
		b.Registry[needy(version).Reference()] = needy(version)
	}
	return b
}

func (b *bench) local(t *testing.T) (booted, next []string) {
	t.Helper()
	runs, _ := b.OSTree.Booted()
	first, _ := b.OSTree.Next()
	return runs.Local, first.Local
}

// reboots is a boot that keeps the boot id: what serves stays as it is, the system changes.
func (b *bench) reboots(t *testing.T) {
	t.Helper()
	require.NoError(t, b.FinalizeOSTree())
}

// layers are the lives of packages on a node: they are installed live, changed by a reboot, and
// taken away. It returns what was in the deployments after each.
func layers(t *testing.T, b *bench) (states []string) {
	t.Helper()
	note := func(last plan.Plan, phase node.Phase) {
		require.Equal(t, phase, last.Phase, "waits for %q: %v", last.Wait, last.Problem)
		booted, next := b.local(t)
		states = append(states, fmt.Sprintf("%v %v reboot %v", booted, next, last.Reboot != ""))
	}
	b.want(t, installing(needy("9.1")))
	_, last := b.settle(t)
	note(last, node.PhaseInstalled)
	b.reboots(t)
	b.want(t, installing(needy("10.0")))
	_, last = b.settle(t)
	require.Equal(t, "a reboot, which the layered packages of the payload need", last.Wait)
	note(last, node.PhaseInstalling)
	b.reboots(t)
	_, last = b.settle(t)
	note(last, node.PhaseInstalled)
	b.want(t, node.Intent{State: node.StateAbsent})
	_, last = b.settle(t)
	note(last, node.PhaseAbsent)
	b.reboots(t)
	_, last = b.settle(t)
	note(last, node.PhaseAbsent)
	return states
}

func TestPackagesAreInstalledLiveThenUpgradedByARebootAndRemoved(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	old, current := "[qemu-kvm-core-9.1-1.x86_64 virtiofsd-1.13-1.x86_64]", "[qemu-kvm-core-10.0-1.x86_64 virtiofsd-1.13-1.x86_64]"
	assert.Equal(t, []string{
		"[] " + old + " reboot false",
		old + " " + current + " reboot true",
		current + " " + current + " reboot false",
		current + " [] reboot true",
		"[] [] reboot false",
	}, layers(t, b))
	assert.NoFileExists(t, filepath.Join(b.Root, host.LayeredFile))
	assert.NoFileExists(t, filepath.Join(b.Root, "/usr/libexec/qemu-kvm"))
}

// Each change of that life is once the last one of an agent's life, and once the one that it does
// not live to make.
func TestAnAgentThatDiesAroundAnyChangeOfPackagesGetsToTheSameEnd(t *testing.T) {
	t.Parallel()
	whole := coreOS(t)
	want := layers(t, whole)
	require.Len(t, whole.layering, 11)
	for _, at := range whole.layering {
		for name, set := range map[string]func(b *bench){
			"before": func(b *bench) { b.CrashBefore = at }, "after": func(b *bench) { b.CrashAt = at },
		} {
			t.Run(fmt.Sprintf("%s change %d", name, at), func(t *testing.T) {
				t.Parallel()
				b := coreOS(t)
				set(b)
				assert.Equal(t, want, layers(t, b))
				assert.Positive(t, b.Lives)
			})
		}
	}
}

func TestWhatAnotherHandHasLayeredStays(t *testing.T) {
	t.Parallel()
	const strace = "strace-6-1.x86_64"
	b := coreOS(t)
	b.OSTree.Deployments[0].Local = []string{strace}
	b.want(t, installing(needy("9.1")))
	b.settle(t)
	b.reboots(t)
	b.want(t, node.Intent{State: node.StateAbsent})
	_, last := b.settle(t)
	require.Equal(t, node.PhaseAbsent, last.Phase)
	_, next := b.local(t)
	assert.Equal(t, []string{strace}, next)
}

func TestARecordIsWrittenBeforeAnythingIsLayered(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.want(t, installing(needy("9.1")))
	s, f := b.until(t, plan.LayerPackages)
	b.OstreeError = &host.OstreeError{Class: host.OstreeBusy, Err: errors.New("Transaction in progress")}
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "Transaction in progress")
	l, err := record.LoadLayered(b.Files)
	require.NoError(t, err)
	assert.Len(t, l.Packages, 2)
	_, next := b.local(t)
	assert.Empty(t, next)
}

// A live system may refuse what a new package changes; the reboot that is needed is said.
func TestWhereALiveApplicationIsRefusedARebootIsRequired(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.NeverLive = true
	b.want(t, installing(needy("9.1")))
	done, last := b.settle(t)
	assert.NotEmpty(t, last.Reboot)
	assert.Contains(t, done, plan.LayerPackages)
	assert.NotContains(t, done, plan.Configure, "nothing names a program that is not there")
	b.reboots(t)
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Empty(t, last.Reboot)
}

// rpm-ostree remembers the target of a live application that was interrupted, and accepts no other
// one until the next boot.
func TestAnInterruptedLiveApplicationIsRepeatedAndOneOfAnotherTargetNeedsAReboot(t *testing.T) {
	t.Parallel()
	for name, foreign := range map[string]bool{"our own": false, "another target": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coreOS(t)
			b.want(t, installing(needy("9.1")))
			s, f := b.until(t, plan.LayerPackages)
			require.NoError(t, b.runner().Run(t.Context(), s, f))
			runs, next := &b.OSTree.Deployments[1], b.OSTree.Deployments[0]
			require.True(t, runs.Booted)
			runs.LiveReplaced, runs.LiveInProgress = "", next.Checksum
			if foreign {
				runs.LiveInProgress = "f00"
			}
			require.NoError(t, os.Remove(filepath.Join(b.Root, "/usr/libexec/virtiofsd")))

			done, last := b.settle(t)
			assert.Contains(t, done, plan.LayerPackages)
			if foreign {
				assert.Equal(t, "a reboot, which the layered packages of the payload need", last.Wait)
				assert.NotEmpty(t, last.Reboot)
				b.reboots(t)
				_, last = b.settle(t)
			}
			assert.Equal(t, node.PhaseInstalled, last.Phase)
			assert.Empty(t, last.Reboot)
			running, _ := b.OSTree.Booted()
			assert.Empty(t, running.LiveInProgress)
		})
	}
}

// CRI-O may run in a mount namespace of its own, which does not get what is mounted on /usr.
func TestPackagesThatCRIODoesNotSeeAreNotProvedBefore(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.want(t, installing(needy("9.1")))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	b.until(t, plan.LayerPackages)
	require.NoError(t, b.Freeze(t.TempDir()))
	s, f := b.until(t, plan.Prove)
	err := b.runner().Run(t.Context(), s, f)
	require.EqualError(t, err, "hypervisor.qemu.path in configuration.toml names \"/usr/libexec/qemu-kvm\", which this host has but CRI-O (process 1001) does not see: "+
		"its mount namespace has an older /usr; restart crio.service, which gives it the host's")
	assert.Empty(t, b.Sandboxes, "no sandbox was started")
	assert.Equal(t, plan.Pending, b.look(t).Slots.Current)

	require.NoError(t, b.Host().Services.Restart(t.Context(), "crio.service"))
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "the next CRI-O sees them")
}

func TestAForeignTransactionIsWaitedForAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.OSTree.Transaction = &host.Transaction{Method: "upgrade", Sender: ":1.9"}
	b.want(t, installing(needy("9.1")))
	_, last := b.settle(t)
	assert.Equal(t, "rpm-ostree, which works on upgrade for :1.9", last.Wait)
	b.OSTree.Transaction = nil
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

// rpm-ostree's status has nothing of an update that failed; its journal has.
func TestAnUpdateThatFailsBecauseOfLayeredPackagesIsAWarning(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.Messages = map[string][]string{"rpm-ostreed.service": {
		"Txn Deploy on /org/projectatomic/rpmostree1/fedora_coreos failed: Could not depsolve transaction; 1 problem detected:\n Problem: nothing provides x needed by qemu-kvm-core-9.1-1.x86_64",
	}}
	b.want(t, installing(needy("9.1")))
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "nothing is held up by it")
	assert.Contains(t, b.look(t).Packages.UpdateBlocked(), "because of the layered packages qemu-kvm-core (")
	b.Messages = nil
	assert.Empty(t, b.look(t).Packages.UpdateBlocked())
}

func TestTheSetForTheHostsSystemIsLayered(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	both := needy("9.1")
	both.Sets = map[string][]manifest.System{"fc42": {{ID: "fedora", Version: "42"}}, "el9": {{ID: "rhel", Version: "9"}, {ID: "rhcos", Version: "4.18"}}}
	b.Registry[both.Reference()] = both
	wanted := installing(both)
	wanted.HostPackages = node.HostPackagesLayered
	b.want(t, wanted)
	require.NoError(t, b.Files.Write("/etc/os-release", []byte("NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=43\nVARIANT_ID=coreos\n"), 0o644))
	_, last := b.settle(t)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonPackagesMissing, last.Problem.Reason)
	assert.Equal(t, "the payload has packages for rhel 9, rhcos 4.18, fedora 42, and this system is fedora 43 (coreos): use one with a set for it, or hostPackages None or Extension", last.Problem.Message)

	require.NoError(t, b.Files.Write("/etc/os-release", []byte("ID=\"rhel\"\nVERSION_ID='9.6'\n"), 0o644))
	_, last = b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)
	_, next := b.local(t)
	assert.Equal(t, []string{"qemu-kvm-core-9.1-1.el9.x86_64", "virtiofsd-1.13-1.el9.x86_64"}, next)
}

func TestASilentRpmOstreeKeepsNothingFromServing(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.want(t, installing(needy("9.1")))
	b.settle(t)
	b.OstreeSilent = errors.New("no daemon")
	_, last := b.settle(t)
	require.NotNil(t, last.Problem)
	assert.Contains(t, last.Problem.Message, "rpm-ostree does not answer: no daemon")
	f := b.look(t)
	_, serving := f.Serving()
	assert.True(t, serving)
	b.want(t, node.Intent{State: node.StateAbsent})
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseRemoving, last.Phase)
	assert.Equal(t, "rpm-ostree to answer (no daemon)", last.Wait)
	b.OstreeSilent = nil
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

func TestANodeOfTheOperatorIsToldByItsDisk(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	file := filepath.Join(b.Root, "/etc/machine-config-daemon/currentconfig")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(`{"metadata":{"name":"rendered-telco-0a1b"}}`), 0o600))
	b.want(t, installing(needy("9.1")))
	_, last := b.settle(t)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonExtensionMissing, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, " to pool telco (")
	assert.Equal(t, packages.MachineConfig("telco"), last.Packages.Apply)
	b.self.AllowLayering = true
	layered := installing(needy("9.1"))
	layered.HostPackages = node.HostPackagesLayered
	b.want(t, layered)
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRpmOstreeIsNotAskedForAPayloadThatNeedsNothing(t *testing.T) {
	t.Parallel()
	b := coreOS(t)
	b.OstreeSilent = errors.New("no daemon")
	b.want(t, installing(one()))
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Empty(t, b.look(t).Packages.Problem)
}

// A live application merges files of packages into /etc, and they stay there when the packages are
// taken away.
func TestFilesThatPackagesLeaveInCRIOsDirectoryAreNotOurs(t *testing.T) {
	t.Parallel()
	const left = "/etc/crio/crio.conf.d/50-kata"
	foreign := []byte("[crio.runtime.runtimes.kata]\nruntime_path = '/usr/bin/containerd-shim-kata-v2'\nruntime_type = 'vm'\n")
	b := coreOS(t)
	b.want(t, installing(needy("9.1")))
	b.until(t, plan.Prove)
	require.NoError(t, b.Files.Write(left, foreign, 0o644))
	_, last := b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)
	written, err := b.Files.Read(host.DropIn)
	require.NoError(t, err)
	assert.True(t, handlers.SameDropIn(written), "ours stays as it is")

	require.NoError(t, b.Files.Write(left, append(foreign, "[crio.runtime.runtimes.kata-oc]\n"...), 0o644))
	_, last = b.settle(t)
	require.NotNil(t, last.Problem, "one that names our handler is named")
	assert.Equal(t, node.ReasonHandlerConflict, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, left)

	require.NoError(t, b.Files.Write(left, foreign, 0o644))
	b.want(t, node.Intent{State: node.StateAbsent})
	_, last = b.settle(t)
	require.Equal(t, node.PhaseAbsent, last.Phase)
	assert.NoFileExists(t, filepath.Join(b.Root, host.DropIn))
	stays, err := b.Files.Read(left)
	require.NoError(t, err)
	assert.Equal(t, foreign, stays)
}

// A shutdown that cannot finalize leaves the older system, and says so in its journal alone.
func TestADeploymentThatNoShutdownFinalizesIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	const line = "error: Installing kernel: regfile copy: No space left on device"
	b := coreOS(t)
	b.NeverLive = true
	b.want(t, installing(needy("9.1")))
	for range 3 {
		_, last := b.settle(t)
		require.NotEmpty(t, last.Reboot, "the packages are staged: %v", last.Problem)
		b.OSTree.Deployments = b.OSTree.Deployments[1:]
		b.Unfinalized = line
		b.self.BootID += "0"
	}
	done, last := b.settle(t)
	assert.NotContains(t, done, plan.LayerPackages, "it is not staged for ever")
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonLayeringLost, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, line)
	assert.Contains(t, last.Problem.Message, host.LayeredFile)
}
