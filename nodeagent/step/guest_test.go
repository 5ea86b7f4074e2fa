// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestAGuestsKernelAndInitrdAreNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(two()))
	b.settle(t)
	slot := b.look(t).Slots.Current
	noted, err := record.LoadGuest(b.Files, slot)
	require.NoError(t, err)
	assert.Equal(t, &record.Guest{Kernel: "/usr/lib/modules/6.12/vmlinuz", Initrd: host.GuestInitrd(slot)}, noted)
	for _, handler := range []string{node.Handler, node.ProofHandler} {
		rendered, err := b.Files.Read(host.SlotDir(slot) + "/" + handler + "/" + host.Configuration)
		require.NoError(t, err)
		assert.Contains(t, string(rendered), "kernel = '"+noted.Kernel+"'")
		assert.Contains(t, string(rendered), "initrd = '"+noted.Initrd+"'")
	}
}

func TestAPayloadsKernelIsUsedWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.self.PayloadKernel = true
	b.want(t, installing(two()))
	b.settle(t)
	f := b.look(t)
	noted, err := record.LoadGuest(b.Files, f.Slots.Current)
	require.NoError(t, err)
	dir := host.PayloadDir(f.Slots.Current) + "/"
	assert.Equal(t, &record.Guest{Kernel: dir + hosttest.KernelFile, Initrd: dir + hosttest.BaseFile}, noted)
	assert.Empty(t, f.Store.Guests)
}

func TestNothingIsLeftOfAGuestThatCannotBeMade(t *testing.T) {
	t.Parallel()
	missing := two()
	missing.Modules = []string{hosttest.MissingModule}
	for name, test := range map[string]struct {
		payload hosttest.Payload
		full    bool
		want    string
	}{
		"a full disk":      {two(), true, unix.ENOSPC.Error()},
		"a missing module": {missing, false, hosttest.MissingModule},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.FullDisk = test.full
			b.Registry[test.payload.Reference()] = test.payload
			b.want(t, installing(test.payload))
			s, f := b.until(t, plan.BuildGuest)
			before := b.state(t)
			require.ErrorContains(t, b.runner().Run(t.Context(), s, f), test.want)
			assert.Equal(t, before, b.state(t))
		})
	}
}

func TestANewKernelFindsItsGuestMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(two()))
	b.settle(t)
	made := b.look(t).Store.Guests
	require.Len(t, made, 2)

	b.self.Kernel = "6.13"
	done, last := b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)
	assert.NotContains(t, done, plan.BuildAhead)
	assert.NotContains(t, done, plan.DeleteGuest)
	assert.Equal(t, made, b.look(t).Store.Guests, "the kernel before it is still on disk")

	b.Kernels = []string{"6.13"}
	done, _ = b.settle(t)
	assert.Equal(t, []plan.Kind{plan.DeleteGuest}, done)
	assert.Len(t, b.look(t).Store.Guests, 1)
}

func TestAFailedProofSaysWhetherTheGuestAloneStarts(t *testing.T) {
	t.Parallel()
	const qemu = "/usr/bin/qemu-system-x86_64"
	broken := two()
	broken.Shim, broken.Requires.QEMU = hosttest.Broken, true
	for want, booted := range map[string]map[string]host.Booted{
		"; the guest alone starts and its agent answers, so look at shim, virtiofsd and CRI-O":                                                     {qemu: {Ready: true}},
		"; the guest alone does not start either: kernel: no kernel for this machine, or one that KVM does not run: it printed nothing within 50s": {qemu: {}},
		"; the guest alone does not start either: starting /usr/bin/qemu-system-x86_64: file does not exist":                                       {},
	} {
		b := newBench(t)
		b.Registry[broken.Reference()], b.Booted = broken, booted
		require.NoError(t, b.Files.Write(qemu, nil, 0o755))
		b.Handlers = []string{node.Handler, node.ProofHandler}
		b.want(t, installing(broken))
		s, f := b.until(t, plan.Prove)
		require.ErrorContains(t, b.runner().Run(t.Context(), s, f), want)
	}
}

func TestTheConsoleOfAGuestThatDoesNotStartIsKept(t *testing.T) {
	t.Parallel()
	const qemu = "/usr/bin/qemu-system-x86_64"
	broken := two()
	broken.Shim, broken.Requires.QEMU = hosttest.Broken, true
	b := newBench(t)
	b.Registry[broken.Reference()] = broken
	b.Booted = map[string]host.Booted{qemu: {Console: "Linux version 6.12\nKernel panic - not syncing: no init\n", Words: "qemu: a warning"}}
	require.NoError(t, b.Files.Write(qemu, nil, 0o755))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	b.want(t, installing(broken))
	s, f := b.until(t, plan.Prove)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "; the guest's last words: Linux version 6.12 | Kernel panic - not syncing: no init")
	console, err := b.Files.Read(host.Console(s.Slot))
	require.NoError(t, err)
	assert.Equal(t, "qemu: a warning\nLinux version 6.12\nKernel panic - not syncing: no init\n", string(console))
}
