// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/probe"
)

const configuration = `
[hypervisor.qemu]
path = "/usr/libexec/qemu-kvm"
kernel = "/k"
initrd = "/i"
image = ""
kernel_params = "agent.log=debug"
`

func TestAMachineIsStartedAsTheConfigurationSays(t *testing.T) {
	t.Parallel()
	m, err := probe.From([]byte(configuration), "amd64")
	require.NoError(t, err)
	b := m.Boot(probe.How{CID: 77})
	assert.Equal(t, host.Boot{Program: "/usr/libexec/qemu-kvm", CID: 77, Port: 1024, EndLine: "Kernel panic - not syncing: ", Args: []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-machine", "q35,accel=kvm", "-cpu", "host", "-m", "512", "-kernel", "/k", "-initrd", "/i",
		"-append", "console=ttyS0 loglevel=7 panic=1 systemd.unit=kata-containers.target systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket agent.log=debug",
		"-device", "vhost-vsock-pci,guest-cid=77",
	}}, b)

	b = m.Boot(probe.How{Emulate: true, CID: 77, ReadyLine: "ready"})
	assert.Zero(t, b.CID, "one that is ready by a line needs no vsock")
	assert.NotContains(t, b.Args, "-device")
	assert.Contains(t, b.Args, "q35,accel=tcg")
	for _, architecture := range []string{"arm64", "ppc64le", "s390x"} {
		m.Architecture = architecture
		assert.NotContains(t, strings.Join(m.Boot(probe.How{}).Args, " "), "ttyS0")
	}
}

func TestWhatCannotBeStartedIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[hypervisor.clh]\npath = '/clh'":                                    "names no QEMU",
		"[hypervisor.qemu]\npath = '/q'\nkernel = '/k'\nimage = '/kata.img'": `starts from the image "/kata.img"`,
		"[": "reading the rendered configuration",
	} {
		_, err := probe.From([]byte(text), "amd64")
		assert.ErrorContains(t, err, want)
	}
}

func TestAnAddressIsNeverReserved(t *testing.T) {
	t.Parallel()
	for _, random := range []uint32{0, 1 << 31, 1<<32 - 1} {
		assert.GreaterOrEqual(t, probe.CID(random), uint32(1<<16))
		assert.Less(t, probe.CID(random), uint32(1<<31))
	}
}

const limit = 45 * time.Second

const (
	kernel = "[    0.000000] Linux version 6.12.0 (build@x)\n"
	inits  = kernel + "[    1.0] Run /init as init process\n"
)

func TestWhichPartFailedIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		booted host.Booted
		want   string
	}{
		"QEMU does not start": {host.Booted{Exited: "exit status 1", Words: "qemu: Could not access KVM kernel module\n"}, "QEMU: exit status 1 qemu: Could not access KVM kernel module"},
		"no kernel":           {host.Booted{}, "kernel: no kernel for this machine, or one that KVM does not run: it printed nothing within 45s (on a slow host: kata-node-agent probe --timeout 3m0s)"},
		"no init": {
			host.Booted{Console: kernel + "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n"},
			"initrd: the kernel found no init in it: VFS: Unable to mount root fs; the guest's last words: [    0.000000] Linux version 6.12.0 (build@x) | [ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs",
		},
		"init ends": {host.Booted{Console: inits + "insmod: virtiofs.ko: no such file\n[ 1.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x100\n", Exited: "it ended by itself"}, "initrd: its init ended: Attempted to kill init! exitcode=0x100; the guest's last words: "},
		"registers": {
			host.Booted{Console: inits + "modprobe: no virtiofs\n[ 1.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x7f00\n" + strings.Repeat("RSP: 0018\n", 20)},
			"initrd: its init ended: Attempted to kill init! exitcode=0x7f00; the guest's last words: [    0.000000] Linux version 6.12.0 (build@x) | [    1.0] Run /init as init process | modprobe: no virtiofs | [ 1.1] Kernel panic",
		},
		"the kernel panics": {host.Booted{Console: kernel + "[ 1.0] Kernel panic - not syncing: Out of memory\n"}, "kernel: it panicked: Out of memory"},
		"the kernel hangs":  {host.Booted{Console: kernel}, "kernel: it started no init within 45s (on a slow host: "},
		"it powers off":     {host.Booted{Console: inits, Exited: "it ended by itself"}, "initrd: the guest switched itself off before it was ready; "},
		"no transport":      {host.Booted{Console: inits, Answer: "connection timed out"}, "vsock: its init has to load vmw_vsock_virtio_transport: the guest is not reached (connection timed out) within 45s "},
		"nothing listens":   {host.Booted{Console: inits, Answer: "connection reset by peer", Reached: true}, "agent: the guest is reached over vsock, and nothing has listened there within 45s "},
		"no ready line":     {host.Booted{Console: inits}, "agent: the guest's ready line did not come within 45s "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := probe.Explain(test.booted, limit)
			require.ErrorContains(t, err, test.want)
			assert.True(t, strings.HasPrefix(err.Error(), test.want))
		})
	}
	assert.NoError(t, probe.Explain(host.Booted{Ready: true, Exited: "whatever"}, limit))
}

func TestTheGuestsLastLinesAreShownWithoutControls(t *testing.T) {
	t.Parallel()
	err := probe.Explain(host.Booted{Console: inits + strings.Repeat("noise\n", 50) + "\x1b[2Jinsmod: can't insert /usr/lib/modules/6.12/virtiofs.ko\r\n\n" + strings.Repeat("x", 1000)}, limit)
	assert.Contains(t, err.Error(), "[2Jinsmod: can't insert /usr/lib/modules/6.12/virtiofs.ko | ")
	assert.NotContains(t, err.Error(), "\x1b")
	assert.Less(t, len(err.Error()), 600)
}
