// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

// below returns an examiner of a host that has these files.
func below(t *testing.T, content map[string]string) *Examiner {
	t.Helper()
	e := Below(t.TempDir(), "system_u:object_r:container_runtime_exec_t:s0", Places{QEMU: []string{"/usr/bin/qemu"}, Virtiofsd: []string{"/usr/libexec/virtiofsd", "/usr/bin/virtiofsd"}})
	e.version = func(context.Context, string) (string, error) { return "1.2.3", nil }
	for path, text := range content {
		file := e.path(path)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return e
}

func modulesDir(t *testing.T) string {
	t.Helper()
	var kernel unix.Utsname
	require.NoError(t, unix.Uname(&kernel))
	return "/lib/modules/" + unix.ByteSliceToString(kernel.Release[:])
}

func TestNothingIsKnownOfAnEmptyRoot(t *testing.T) {
	t.Parallel()
	f := below(t, nil).Examine(t.Context())
	assert.Equal(t, host.KVM{}, f.KVM)
	assert.Equal(t, "disabled", f.SELinux.Mode)
	assert.Empty(t, f.QEMU.Path)
	assert.Zero(t, f.CgroupVersion)
	assert.Positive(t, f.StoreFree, "the file system that the store will be on")
	assert.Equal(t, map[string]bool{"/dev/vhost-vsock": false, "/dev/vhost-net": false, "/dev/net/tun": false}, f.Devices)
}

func TestTheFactsOfAHost(t *testing.T) {
	t.Parallel()
	dir := modulesDir(t)
	e := below(t, map[string]string{
		"/proc/cpuinfo":                         "processor\t: 0\nflags\t\t: fpu vme svm hypervisor\nprocessor\t: 1\nflags\t\t: vmx\n",
		"/proc/meminfo":                         "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n",
		"/sys/module/kvm_amd/parameters/nested": "1\n",
		"/sys/module/tun/x":                     "",
		"/sys/fs/cgroup/cgroup.controllers":     "cpu",
		dir + "/modules.dep":                    "kernel/drivers/vhost/vhost-vsock.ko.xz: kernel/drivers/vhost/vhost.ko.xz\nkernel/drivers/net/tun.ko:\n",
		dir + "/modules.builtin":                "kernel/drivers/vhost/vhost_net.ko\n",
		"/sys/fs/selinux/enforce":               "1",
		"/sys/fs/selinux/context":               "",
		"/usr/bin/virtiofsd":                    "a program",
		"/proc/1/mountinfo":                     "30 1 8:1 / / rw shared:1 - xfs /dev/sda1 rw\n31 30 8:1 /x /var/lib/containers/storage/overlay rw - xfs /dev/sda1 rw\n",
	})
	f := e.Examine(t.Context())
	assert.True(t, f.Virtual)
	assert.Equal(t, []string{"svm"}, f.Extensions)
	assert.Equal(t, "1", f.Nested)
	assert.Equal(t, uint64(16000000<<10), f.MemoryTotal)
	assert.Equal(t, uint64(8000000<<10), f.MemoryAvailable)
	assert.Equal(t, 2, f.CgroupVersion)
	assert.Equal(t, map[string]host.Module{"vhost_vsock": {Installed: true}, "vhost_net": {Loaded: true}, "tun": {Loaded: true, Installed: true}}, f.Modules)
	assert.Equal(t, host.SELinux{Mode: "enforcing"}, f.SELinux)
	assert.Equal(t, host.Program{Path: "/usr/bin/virtiofsd", Version: "1.2.3"}, f.Virtiofsd)
	assert.Equal(t, "/var/lib/containers/storage/overlay", f.PrivateStorage)
	assert.Equal(t, runtime.GOARCH, f.Architecture)
}

func TestASharedStorageIsVisible(t *testing.T) {
	t.Parallel()
	e := below(t, map[string]string{"/proc/1/mountinfo": "31 30 8:1 /x /var/lib/containers/storage/overlay rw shared:7 master:2 - xfs /dev/sda1 rw\n"})
	assert.Empty(t, e.privateStorage())
}

func TestAProgramIsAskedOnceWhileItIsTheSameFile(t *testing.T) {
	t.Parallel()
	e, asked := below(t, map[string]string{"/usr/bin/virtiofsd": "one"}), 0
	e.version = func(context.Context, string) (string, error) {
		asked++
		return "", errors.New("exit status 1")
	}
	for range 2 {
		assert.Equal(t, host.Program{Path: "/usr/bin/virtiofsd", Problem: "exit status 1"}, e.find(t.Context(), e.places.Virtiofsd))
	}
	assert.Equal(t, 1, asked)
	require.NoError(t, os.WriteFile(e.path("/usr/bin/virtiofsd"), []byte("another"), 0o600))
	e.find(t.Context(), e.places.Virtiofsd)
	assert.Equal(t, 2, asked)
}

func TestVersionsAsProgramsPrintThem(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]string{
		"QEMU emulator version 9.1.0 (qemu-kvm-9.1.0-15.el9_6.7)\nCopyright (c) 2003-2024": "9.1.0",
		"QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)":                    "10.0.13",
		"virtiofsd 1.13.2": "1.13.2",
		"virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7)\nusing FUSE kernel interface version 7.36": "7.2.22",
	} {
		got, err := versionIn(printed)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := versionIn("usage: qemu")
	require.Error(t, err)
}

func TestAProgramPrintsItsVersion(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "program")
	hosttest.Program(t, program, []byte("#!/bin/sh\n[ \"$*\" = --version ] && echo version 3.4.5\n"))
	version, err := askVersion(t.Context(), program)
	require.NoError(t, err)
	assert.Equal(t, "3.4.5", version)
	_, err = askVersion(t.Context(), "/no/such/program")
	require.ErrorContains(t, err, "asking /no/such/program for its version")
}
