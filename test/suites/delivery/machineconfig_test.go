// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/test/bed/agentrpm"
	"github.com/kata-node/kata-node/test/bed/machine"
)

// ignition is as much of a rendered MachineConfig as a node needs to write it.
type ignition struct {
	Spec struct {
		Config struct {
			Storage struct {
				Files []struct {
					Path     string
					Mode     uint32
					Contents struct{ Source string }
				}
			}
			Systemd struct {
				Units []struct {
					Name, Contents string
					Enabled        bool
					Dropins        []struct{ Name, Contents string }
				}
			}
		}
	}
}

// apply writes the golden MachineConfig to a machine that is off, as the machine-config daemon
// does.
func apply(t *testing.T, m *machine.Machine) {
	t.Helper()
	golden, err := os.ReadFile("../../../ignition/machineconfig/testdata/openshift-4.19.yaml")
	require.NoError(t, err)
	var mc ignition
	require.NoError(t, yaml.Unmarshal(golden, &mc))
	for _, f := range mc.Spec.Config.Storage.Files {
		encoded, ok := strings.CutPrefix(f.Contents.Source, "data:;base64,")
		require.True(t, ok, f.Path)
		content, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		require.NoError(t, m.WriteFile(f.Path, content, fs.FileMode(f.Mode)))
	}
	for _, u := range mc.Spec.Config.Systemd.Units {
		path := "/etc/systemd/system/" + u.Name
		require.NoError(t, m.WriteFile(path, []byte(u.Contents), 0o644))
		for _, d := range u.Dropins {
			require.NoError(t, m.WriteFile(path+".d/"+d.Name, []byte(d.Contents), 0o644))
		}
		require.True(t, u.Enabled)
		output(t, "systemctl", "--root="+m.Root(), "enable", u.Name)
	}
}

// stalled is a podman whose registry answers from the moment that a file appears. What it copies
// out of the image is the agent in /opt.
const stalled = `#!/bin/sh
case $1 in
pull) until [ -e /run/registry-answers ]; do sleep 0.1; done ;;
create) echo container ;;
cp) cp /opt/kata-node-agent "$3" ;;
esac
`

// offer makes the machine's registry have the real agent.
func offer(t *testing.T, m *machine.Machine) {
	t.Helper()
	packaged := t.TempDir()
	rpm, err := agentrpm.Build(t.Context(), "", t.TempDir())
	require.NoError(t, err)
	require.NoError(t, agentrpm.Unpack(t.Context(), rpm, packaged))
	agent, err := os.ReadFile(filepath.Join(packaged, agentrpm.Agent))
	require.NoError(t, err)
	require.NoError(t, m.WriteFile("/opt/kata-node-agent", agent, 0o755))
	require.NoError(t, m.WriteFile("/usr/bin/podman", []byte(stalled), 0o755))
}

func TestAMachineConfigBringsTheAgentWithoutDelayingTheBoot(t *testing.T) {
	t.Parallel()
	m := node(t, "machineconfig")
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio")
	apply(t, m)
	offer(t, m)

	require.NoError(t, m.Boot(t.Context()))
	_, err := m.AwaitRunning(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "active", show(t, m, "crio.service")["ActiveState"], "a registry that does not answer keeps nobody waiting")
	skipped := show(t, m, "kata-node-agent.service")
	assert.Equal(t, "inactive", skipped["ActiveState"])
	assert.Equal(t, "no", skipped["ConditionResult"])

	_, err = m.Exec(t.Context(), "touch", "/run/registry-answers")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return show(t, m, "kata-node-agent.service")["ActiveState"] == "active" }, patience, 100*time.Millisecond)
	require.NoError(t, m.Reboot(t.Context()))
	_, err = m.AwaitRunning(t.Context())
	require.NoError(t, err)
	up, crio := show(t, m, "kata-node-agent.service"), show(t, m, "crio.service")
	assert.Equal(t, "active", up["ActiveState"], "no network is needed for the digest that is there")
	assert.Less(t, micros(t, up, "ActiveEnterTimestampMonotonic"), micros(t, crio, "ExecMainStartTimestampMonotonic"))
	_, err = m.Exec(t.Context(), "test", "-x", "/run/kata-agent/current/kata-oc/containerd-shim-kata-v2")
	require.NoError(t, err, "tmpfiles links the pulled agent as the shim of pending")
}

func TestAnAgentThatDiesAtOnceGivesItsPlaceBackOnANode(t *testing.T) {
	t.Parallel()
	m := node(t, "way-back")
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio")
	apply(t, m)
	offer(t, m)
	active := func() bool { return show(t, m, "kata-node-agent.service")["ActiveState"] == "active" }
	require.NoError(t, m.Boot(t.Context()))
	_, err := m.Exec(t.Context(), "touch", "/run/registry-answers")
	require.NoError(t, err)
	require.Eventually(t, active, patience, 100*time.Millisecond)
	before, err := m.Exec(t.Context(), "readlink", "/var/lib/kata-agent/bin/current")
	require.NoError(t, err)

	_, err = m.Exec(t.Context(), "sh", "-ec", `printf '#!/bin/sh\nexit 1\n' >/opt/kata-node-agent
		printf '[Service]\nEnvironment=AGENT_IMAGE=registry.example/agent@sha256:%064d\n' 0 >/etc/systemd/system/kata-agent-pull.service.d/20-other.conf
		systemctl daemon-reload
		systemctl restart kata-agent-pull.service`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return show(t, m, "kata-agent-pull.service")["ActiveState"] == "failed" }, patience, time.Second)
	require.Eventually(t, active, patience, 100*time.Millisecond)
	after, err := m.Exec(t.Context(), "readlink", "/var/lib/kata-agent/bin/current")
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
	journal, err := m.Journal(t.Context(), "kata-agent-pull.service")
	require.NoError(t, err)
	assert.Contains(t, journal, "does not run on this node, and the one before runs on")
}
