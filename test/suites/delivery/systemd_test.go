// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	unit = "usr/lib/systemd/system/kata-node-agent.service"
	// exposure is the highest score of systemd-analyze security that we accept, times ten. A
	// service that mounts in the host's namespace cannot have a good one.
	exposure = "60"
)

// bootable adds to root the units that every boot has, as far as systemd-analyze asks for them.
func bootable(t *testing.T, root string) {
	t.Helper()
	for _, name := range []string{"sysinit.target", "basic.target", "multi-user.target", "shutdown.target", "local-fs.target"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "usr/lib/systemd/system", name), []byte("[Unit]\nDescription="+name+"\nDefaultDependencies=no\n"), 0o600))
	}
}

func TestTheUnitPassesSystemdsOwnCheck(t *testing.T) {
	t.Parallel()
	need(t, "systemd-analyze")
	root := installed(t)
	bootable(t, root)
	assert.Empty(t, output(t, "systemd-analyze", "verify", "--man=no", "--root="+root, "kata-node-agent.service"))
}

func TestTheUnitStaysHardened(t *testing.T) {
	t.Parallel()
	need(t, "systemd-analyze")
	root := installed(t)
	bootable(t, root)
	output(t, "systemd-analyze", "security", "--offline=true", "--root="+root, "--threshold="+exposure, "kata-node-agent.service")
}

// ownMountNamespace lists the directives for which systemd gives a service a mount namespace of its
// own (exec_needs_mount_namespace): what the agent mounts there CRI-O never sees.
func ownMountNamespace() []string {
	return []string{
		"RootDirectory", "RootImage", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths",
		"TemporaryFileSystem", "MountImages", "ExtensionImages", "ExtensionDirectories", "MountFlags", "PrivateTmp", "PrivateDevices", "PrivateMounts",
		"PrivateNetwork", "PrivateIPC", "IPCNamespacePath", "ProtectSystem", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
		"ProtectControlGroups", "ProtectProc", "ProcSubset", "LogNamespace", "DynamicUser", "MountAPIVFS",
	}
}

func directives(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	found := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			found[name] = value
		}
	}
	return found
}

func TestTheAgentStaysInTheMountNamespaceOfPID1(t *testing.T) {
	t.Parallel()
	found := directives(t, filepath.Join("../../../systemd", unit))
	require.Equal(t, "notify", found["Type"])
	for _, name := range ownMountNamespace() {
		assert.NotContains(t, found, name)
	}
}

// A layer with a setuid file could not be unpacked, and SELinux would not let a child change its
// domain.
func TestTheUnitLeavesSetuidFilesAndDomainsToTheKernel(t *testing.T) {
	t.Parallel()
	found := directives(t, filepath.Join("../../../systemd", unit))
	for _, name := range []string{"RestrictSUIDSGID", "NoNewPrivileges"} {
		assert.NotContains(t, found, name)
	}
}

func TestBothUnitsHaveTheClustersProxy(t *testing.T) {
	t.Parallel()
	for _, file := range []string{filepath.Join("../../../systemd", unit), "../../../ignition/kata-agent-pull.service"} {
		assert.Equal(t, "-/etc/mco/proxy.env", directives(t, file)["EnvironmentFile"], file)
	}
}

func TestNothingIsRequiredOfTheAgentAndCRIOWaitsForItBriefly(t *testing.T) {
	t.Parallel()
	found := directives(t, filepath.Join("../../../systemd", unit))
	assert.Contains(t, strings.Fields(found["Before"]), "crio.service")
	assert.Equal(t, "15s", found["JobRunningTimeoutSec"])
	assert.Equal(t, "5s", found["TimeoutStopSec"], "a restart is one job: without time left for it the start would not be made")
	assert.Equal(t, "5min", found["TimeoutStartSec"])
	assert.Equal(t, "kill", found["TimeoutStartFailureMode"])
	for _, name := range []string{"RequiredBy", "ConditionFirstBoot", "ConditionPathExists", "RuntimeDirectory"} {
		assert.NotContains(t, found, name)
	}
}

func TestTmpfilesMakeEveryPathThatCRIOResolves(t *testing.T) {
	t.Parallel()
	need(t, "systemd-tmpfiles")
	root := installed(t)
	createTmpfiles(t, root)
	for _, link := range []string{"current/kata-oc", "proof/kata-oc-proof", "current/kata-oc-rs", "proof/kata-oc-rs-proof", "current/kata-oc-debug", "proof/kata-oc-debug-proof"} {
		dir := filepath.Join(root, "run/kata-agent", link)
		target, err := os.Readlink(filepath.Join(dir, "containerd-shim-kata-v2"))
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(root, target), "the shim of pending is the agent")
		require.FileExists(t, filepath.Join(dir, "configuration.toml"))
	}
	info, err := os.Stat(filepath.Join(root, "var/lib/kata-agent"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestTmpfilesLeaveLinksAloneThatTheAgentMoved(t *testing.T) {
	t.Parallel()
	need(t, "systemd-tmpfiles")
	root := installed(t)
	createTmpfiles(t, root)
	for _, name := range []string{"current", "proof"} {
		link := filepath.Join(root, "run/kata-agent", name)
		require.NoError(t, os.Remove(link))
		require.NoError(t, os.Symlink("slots/abc", link))
	}
	createTmpfiles(t, root)
	for _, name := range []string{"current", "proof"} {
		target, err := os.Readlink(filepath.Join(root, "run/kata-agent", name))
		require.NoError(t, err)
		assert.Equal(t, "slots/abc", target)
	}
	createTmpfiles(t, root, "--boot")
	for _, name := range []string{"current", "proof"} {
		target, err := os.Readlink(filepath.Join(root, "run/kata-agent", name))
		require.NoError(t, err)
		assert.Equal(t, "slots/pending", target, "a soft reboot keeps /run and ends the mounts")
	}
}

func TestPodsComeFirst(t *testing.T) {
	t.Parallel()
	found := directives(t, filepath.Join("../../../systemd", unit))
	assert.Equal(t, "1G", found["MemoryMax"])
	assert.Equal(t, "20", found["CPUWeight"])
	assert.Equal(t, "20", found["IOWeight"])
}

func createTmpfiles(t *testing.T, root string, options ...string) {
	t.Helper()
	// Owners are looked up below the root.
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\n"), 0o600))
	if os.Geteuid() != 0 {
		t.Skip("systemd-tmpfiles gives files to root: only root may run it")
	}
	output(t, "systemd-tmpfiles", append([]string{"--root=" + root, "--create"}, options...)...)
}
