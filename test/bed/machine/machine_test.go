// SPDX-License-Identifier: Apache-2.0

package machine_test

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/machine"
	"github.com/kata-node/kata-node/test/bed/machine/machinetest"
)

func TestMachineBootsRebootsAndLosesPower(t *testing.T) {
	t.Parallel()
	m := on(t, "story")
	state, err := m.AwaitRunning(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "running", state)
	hostname, err := m.Exec(t.Context(), "hostname")
	require.NoError(t, err)
	assert.Equal(t, "story\n", string(hostname))
	require.NoError(t, m.WriteFile("/etc/kept", []byte("kept"), 0o600))
	first := bootID(t, m)

	timed(t, "reboot", func() { require.NoError(t, m.Reboot(t.Context())) })
	second := bootID(t, m)
	assert.NotEqual(t, first, second)

	timed(t, "power cut", func() { require.NoError(t, m.PowerCut(t.Context())) })
	third := bootID(t, m)
	assert.NotEqual(t, second, third)
	kept, err := m.ReadFile(t.Context(), "/etc/kept")
	require.NoError(t, err)
	assert.Equal(t, "kept", string(kept))
	boots, err := m.Exec(t.Context(), "journalctl", "--list-boots", "--quiet")
	require.NoError(t, err)
	assert.Contains(t, string(boots), strings.ReplaceAll(second, "-", ""), "the journal of the boot that was cut is kept")

	timed(t, "power off", func() { require.NoError(t, m.PowerOff(t.Context())) })
	_, err = m.Exec(t.Context(), "true")
	require.ErrorContains(t, err, "is off")
	journal, err := m.Journal(t.Context(), "dbus.service")
	require.NoError(t, err)
	assert.Contains(t, journal, "dbus")
}

func TestAMachineRebootsItsUserspaceAlone(t *testing.T) {
	t.Parallel()
	m := assembled(t, "soft", machine.Trixie.Base, machine.New)
	timed(t, "boot", func() { require.NoError(t, m.Boot(t.Context())) })
	first := bootID(t, m)
	_, err := m.Exec(t.Context(), "sh", "-ec", "echo kept >/run/kept; systemd-run --unit=sleeper sleep infinity")
	require.NoError(t, err)
	for range 2 {
		timed(t, "soft reboot", func() { require.NoError(t, m.SoftReboot(t.Context())) })
		assert.Equal(t, first, bootID(t, m))
		kept, err := m.Exec(t.Context(), "cat", "/run/kept")
		require.NoError(t, err)
		assert.Equal(t, "kept\n", string(kept))
		sleeper, err := m.Unit(t.Context(), "sleeper.service")
		require.NoError(t, err)
		assert.Equal(t, "inactive", sleeper["ActiveState"])
		_, err = m.Exec(t.Context(), "mountpoint", "/var/lib/real")
		require.NoError(t, err)
	}
	timed(t, "reboot", func() { require.NoError(t, m.Reboot(t.Context())) })
	assert.NotEqual(t, first, bootID(t, m))
}

func TestMachineConforms(t *testing.T) {
	t.Parallel()
	m := on(t, "conforms")
	_, err := m.AwaitRunning(t.Context())
	require.NoError(t, err)
	machinetest.Conforms(t, m)
}

func TestMachineMountsOverlaysFromItsRealDirectory(t *testing.T) {
	t.Parallel()
	m := on(t, "overlay")
	_, err := m.Exec(t.Context(), "sh", "-ec", `cd /var/lib/real; mkdir -p a u w /run/merged; echo lower > a/file
		mount -t overlay overlay -o lowerdir=a,upperdir=u,workdir=w /run/merged; echo upper > /run/merged/new`)
	require.NoError(t, err)

	content, err := m.ReadFile(t.Context(), "/run/merged/file")
	require.NoError(t, err)
	assert.Equal(t, "lower\n", string(content))
	mounts, err := m.Mounts(t.Context())
	require.NoError(t, err)
	var found bool
	for _, mount := range mounts {
		found = found || mount.Mountpoint == "/run/merged" && mount.FSType == "overlay" && strings.Contains(mount.Optional, "shared:")
	}
	assert.True(t, found, "PID 1 sees the mount, and it propagates")
	assert.NoFileExists(t, filepath.Join(m.Root(), "run/merged/file"), "the host's own mount table stays as it is")
}

func TestMachineServicesRunInCgroupsOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := on(t, name)
			_, err := m.Exec(t.Context(), "systemd-run", "--unit=probe", "--property=Type=exec", "sleep", "infinity")
			require.NoError(t, err)
			unit, err := m.Unit(t.Context(), "probe.service")
			require.NoError(t, err)
			assert.Equal(t, "active", unit["ActiveState"])
			_, err = m.Exec(t.Context(), "systemctl", "stop", "probe.service")
			require.NoError(t, err)
		})
	}
}

func TestMachinesHaveNetworksOfTheirOwn(t *testing.T) {
	t.Parallel()
	m, other := on(t, "one"), off(t, "other")
	assert.NotEqual(t, m.Address(), other.Address())
	asks := machinetest.Connects(t, m)
	for range 2 {
		asks(t)
		require.NoError(t, m.Reboot(t.Context()))
	}
	machinetest.Answers(t, m)
}

// on boots a machine that is removed with the test.
func on(t *testing.T, name string) *machine.Machine {
	t.Helper()
	m := off(t, name)
	timed(t, "boot", func() { require.NoError(t, m.Boot(t.Context())) })
	return m
}

func off(t *testing.T, name string) *machine.Machine {
	t.Helper()
	return assembled(t, name, machine.Base, machine.New)
}

func assembled(t *testing.T, name string, makeBase func(context.Context, string, io.Writer, ...string) (string, error), makeMachine func(context.Context, string, string, machine.Disk) (*machine.Machine, error)) *machine.Machine {
	t.Helper()
	if reasons := machine.Missing(); len(reasons) > 0 {
		t.Skip(strings.Join(reasons, "; "))
	}
	cache := cacheDir(t)
	base, err := makeBase(t.Context(), cache, t.Output())
	require.NoError(t, err)
	home, err := machine.Home(filepath.Join(cache, "machines"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, machine.RemoveHome(home)) })
	m, err := makeMachine(t.Context(), home, name, machine.Disk{Layers: []string{base}, Real: []string{"/var/lib/real"}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Remove(context.WithoutCancel(t.Context()))) })
	return m
}

func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../.cache/bed")
	require.NoError(t, err)
	return dir
}

func bootID(t *testing.T, m *machine.Machine) string {
	t.Helper()
	id, err := m.BootID(t.Context())
	require.NoError(t, err)
	require.Len(t, id, 36)
	return id
}

func timed(t *testing.T, what string, do func()) {
	t.Helper()
	started := time.Now()
	do()
	t.Logf("%s took %s", what, time.Since(started).Round(time.Millisecond))
}
