// SPDX-License-Identifier: Apache-2.0

package emulated_test

import (
	"context"
	"flag"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/guests"
	"github.com/kata-node/kata-node/nodeagent/settings"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kata-node/kata-node/test/bed/fixture"
)

// otherLabels is for make e2e: it costs another installation.
var otherLabels = flag.Bool("other-labels", false, "try other settings of selinux_context, and an update, on a node with SELinux")

const (
	agentDomain   = "system_u:system_r:unconfined_service_t:s0"
	runtimeDomain = "system_u:system_r:container_runtime_t:s0"
	kvmDomain     = "system_u:system_r:container_kvm_t:s0"
	podDomain     = "system_u:system_r:container_t:s0"
	varLib        = "system_u:object_r:var_lib_t:s0"
	denial        = "avc:  denied"
)

// payloadLabel is what payloads have where no setting says otherwise.
func payloadLabel() string { return settings.Default().SELinuxContext }

// assertLabelled looks for the labels of files and processes on a node with a pod of each kind, and
// for what the kernel denied until now: nothing. Then it does what the policy forbids.
func (s *stage) assertLabelled() {
	s.t.Helper()
	require.Empty(s.t, s.denials())
	slot, err := s.node.Current(s.t.Context())
	require.NoError(s.t, err)
	slot = path.Base(slot)
	shim := host.PayloadDir(slot) + "/usr/bin/" + host.Shim
	s.assertMounts(payloadLabel(), 1)
	for file, label := range map[string]string{
		shim: payloadLabel(), host.GuestInitrd(slot): guests.Label, host.GuestDir(slot): guests.Label, host.GuestsDir: guests.Label,
		dropIn: "system_u:object_r:container_config_t:s0", host.StoreDir: varLib, host.SlotsDir: "system_u:object_r:var_run_t:s0",
	} {
		assert.Equal(s.t, label, s.labelOf(file), file)
	}
	s.assertDomains(shim)
	// As the shim's process without our label, as QEMU's, and as systemd, which starts agents.
	s.assertDenied("Permission denied", "runcon", runtimeDomain, "sh", "-c", "exec "+host.StoreDir+"/overlay/*/diff/usr/bin/"+host.Shim)
	_, err = s.node.Exec(s.t.Context(), "runcon", kvmDomain, "cmp", host.GuestInitrd(slot), host.GuestInitrd(slot))
	require.NoError(s.t, err)
	s.assertDenied("Permission denied", "runcon", kvmDomain, "cat", host.StoreDir+"/storage.lock")
	s.assertPulledAgent()
	assert.NotEmpty(s.t, s.denials())
}

// assertPulledAgent starts an agent below /var as a MachineConfig brings it: with the label of its
// directory, and with the one that ignition/pull-agent gives it.
func (s *stage) assertPulledAgent() {
	s.t.Helper()
	const pulled = host.StateDir + "/pulled"
	_, err := s.node.Exec(s.t.Context(), "cp", agentProgram, pulled)
	require.NoError(s.t, err)
	start := []string{"systemd-run", "--quiet", "--wait", pulled, "--version"}
	_, err = s.node.Exec(s.t.Context(), start...)
	require.Error(s.t, err, "systemd runs no program that has the label of /var")
	_, err = s.node.Exec(s.t.Context(), "chcon", "-t", "bin_t", pulled)
	require.NoError(s.t, err)
	_, err = s.node.Exec(s.t.Context(), start...)
	require.NoError(s.t, err)
	_, err = s.node.Exec(s.t.Context(), "rm", pulled)
	require.NoError(s.t, err)
}

// assertMounts looks at the payloads' mounts in the table of PID 1.
func (s *stage) assertMounts(label string, many int) {
	s.t.Helper()
	mounts, err := s.node.Mounts(s.t.Context())
	require.NoError(s.t, err)
	found := 0
	for _, m := range mounts {
		if strings.HasPrefix(m.Mountpoint, host.SlotsDir+"/") {
			found++
			assert.Contains(s.t, strings.Split(m.VFSOptions, ","), "context="+label, m.Mountpoint)
		}
	}
	assert.Equal(s.t, many, found)
}

func (s *stage) labelOf(file string) string {
	s.t.Helper()
	label, err := s.node.Exec(s.t.Context(), "stat", "--format=%C", file)
	require.NoError(s.t, err)
	return strings.TrimSpace(string(label))
}

// assertDomains looks at the processes of agent, CRI-O, shim and pods. CRI-O gives the sandbox of a
// kata pod the domain in which QEMU runs, and each pod categories of its own.
func (s *stage) assertDomains(shim string) {
	s.t.Helper()
	out, err := s.node.Exec(s.t.Context(), "ps", "-e", "-ww", "-o", "label=,args=")
	require.NoError(s.t, err)
	for process, times := range map[string]int{
		agentDomain + " +" + agentProgram + " run": 1, runtimeDomain + " +/usr/bin/crio": 1, runtimeDomain + " +" + shim + " ": 1,
		kvmDomain + `:c\d+,c\d+ +/pause`: 1, podDomain + `:c\d+,c\d+ +sh -c echo serving`: 2,
	} {
		assert.GreaterOrEqual(s.t, len(regexp.MustCompile("(?m)^"+process).FindAll(out, -1)), times, "%s in\n%s", process, out)
	}
}

func (s *stage) assertDenied(words string, command ...string) {
	s.t.Helper()
	_, err := s.node.Exec(s.t.Context(), command...)
	require.ErrorContains(s.t, err, words)
}

// denials are the lines of this boot with what the kernel denied.
func (s *stage) denials() []string {
	s.t.Helper()
	log, err := s.node.Exec(s.t.Context(), "dmesg")
	require.NoError(s.t, err)
	return denials(string(log))
}

func denials(log string) (found []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, denial) {
			found = append(found, line)
		}
	}
	return found
}

// assertDeniedOnly reads the whole journal, over all boots: denied was what the test did on
// purpose, by programs of these names, and nothing that the product, CRI-O or a pod did.
func (s *stage) assertDeniedOnly(programs string) {
	s.t.Helper()
	journal, err := s.node.Journal(s.t.Context(), "")
	require.NoError(s.t, err)
	for _, line := range denials(journal) {
		assert.Regexp(s.t, `comm="(`+programs+`)" .*tcontext=`+varLib+" ", line)
	}
}

// TestPayloadsWithAnotherLabel sets a label that the policy does not know, and none: files have
// that of the store, which CRI-O runs no program with. Without a reboot, the right one then serves,
// through an update and a removal.
func TestPayloadsWithAnotherLabel(t *testing.T) { //nolint:paralleltest // It takes a processor and 2 GB.
	if !*otherLabels {
		t.Skip("-other-labels is not set: make e2e ONLY=selinux sets it")
	}
	const unknown = "system_u:object_r:unknown_t:s0"
	s := newStage(t)
	s.setLabel(`selinux_context = "` + unknown + `"`)
	require.NoError(t, s.cluster.ApplySample(t.Context()))
	s.awaitReport("says that the policy does not know the label", func(r node.Report) bool {
		return r.HostCheck == "the SELinux policy does not know "+unknown+": install container-selinux, or set selinux_context"
	})
	s.setLabel(`selinux_context = ""`)
	s.awaitReport("says that SELinux keeps the shim from running", func(r node.Report) bool {
		return r.Error != nil && r.Error.Reason == node.ReasonProvePayloadFailed &&
			strings.Contains(r.Error.Message, "permission denied; SELinux is enforcing: see ausearch -m avc or journalctl -kg avc, and selinux_context")
	})
	s.setLabel("")
	s.awaitCompleted()
	s.awaitMounts(1)
	s.runPods(map[string]string{pod: node.RuntimeClass, ordinary: ""})
	next, err := s.cluster.Push(t.Context(), fixture.Payload{Version: "2.0.0", Boots: guestModules()})
	require.NoError(t, err)
	require.NoError(t, s.cluster.SetPayload(t.Context(), next))
	s.awaitReport("serves the next payload", func(r node.Report) bool { return r.PayloadVersion == "2.0.0" && r.Phase == node.PhaseInstalled })
	s.runPods(map[string]string{"next": node.RuntimeClass})
	s.awaitMounts(2)
	s.endPods(pod, ordinary, "next")
	require.NoError(t, s.cluster.DeleteSample(t.Context()))
	s.timed("removal", s.cluster.AwaitGone)
	s.timed("power off", s.node.PowerOff)
	s.assertDeniedOnly("crio")
}

// setLabel writes the setting, or none, and starts the agent with it.
func (s *stage) setLabel(setting string) {
	s.t.Helper()
	_, err := s.node.Exec(s.t.Context(), "sh", "-ec", "mkdir -p /etc/kata-agent; echo \"$1\" >/etc/kata-agent/label.toml; systemctl restart kata-node-agent.service", "sh", setting)
	require.NoError(s.t, err)
}

func (s *stage) awaitReport(what string, wanted func(node.Report) bool) {
	s.t.Helper()
	s.timed("until the agent "+what, func(ctx context.Context) error {
		_, err := s.node.AwaitReport(ctx, what, wanted)
		return err
	})
}

// awaitMounts waits until so many payloads are mounted, and looks at their labels.
func (s *stage) awaitMounts(many int) {
	s.t.Helper()
	s.timed("mounts", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
			points, err := s.node.PayloadMounts(ctx)
			return len(points) == many, err
		})
	})
	s.assertMounts(payloadLabel(), many)
}
