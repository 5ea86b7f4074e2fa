// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// device is an extended resource of the node.
const device = "example.com/device"

// offer gives the node so many devices, as a device plugin does: the kubelet offers to pods what
// the Node's capacity has.
func (s *subject) offer(devices string) {
	s.t.Helper()
	has := map[string]string{device: devices}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"capacity": has, "allocatable": has}})
	require.NoError(s.t, err)
	_, err = s.cluster.Kube.CoreV1().Nodes().Patch(s.t.Context(), s.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	require.NoError(s.t, err)
}

func (s *subject) awaitOffered(devices int64) {
	s.t.Helper()
	s.await(fmt.Sprintf("the node offers %d devices", devices), func(ctx context.Context) error {
		n, err := s.node.Object(ctx)
		if err != nil {
			return err
		}
		offered := n.Status.Allocatable[device]
		if offered.Value() != devices {
			return fmt.Errorf("it offers %s", offered.String())
		}
		return nil
	})
}

// A kubelet that starts offers none of a device plugin's devices until the plugin has registered
// again (readCheckpoint in pkg/kubelet/cm/devicemanager/manager.go of Kubernetes 1.37).
func TestANodeIsDoneWhenItsDevicesAreBackAfterTheRestartOfCRIO(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "devices")
	s.installUpToGrant()
	s.offer("2")
	s.awaitOffered(2)
	start := s.blockStart()
	s.change("paused", false)
	hanging := start.awaitReader()
	s.offer("0") // while the kubelet is down, too
	start.remove()
	require.NoError(t, hanging.Close())
	const waits = "waiting for device plugins to register again after the restart of CRI-O, for " + device + " (0 of 2)"
	s.awaitStatus(waits)
	s.awaitReport("waits", in(node.PhaseInstalling))
	n, err := s.node.Object(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, n.Labels, node.ReadyLabel)
	assert.NotEqual(t, pending, s.current(), "only the word is held back")

	s.kill()
	s.awaitStatus(waits)
	s.offer("1")
	s.awaitStatus(device + " (1 of 2)")
	s.offer("2")
	s.assertInstalled()

	s.offer("0")
	s.awaitOffered(0)
	s.kill()
	s.awaitReport("is done for good", in(node.PhaseInstalled))
	n, err = s.node.Object(t.Context())
	require.NoError(t, err)
	assert.Contains(t, n.Labels, node.ReadyLabel)
	assert.Contains(t, n.Status.Allocatable, corev1.ResourceName(device))
}

// intentFile drives a node without a controller.
const intentFile = "/etc/kata-agent/intent.json"

func TestANodeWithoutAClusterWaitsForNoKubelet(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "alone")
	report, err := s.node.Report(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.node.WriteFile("/etc/kata-agent/50-intent.toml", []byte(fmt.Sprintf("intent_file = %q\n", intentFile)), 0o644))
	document, err := json.Marshal(map[string]any{
		"version": 1, "state": node.StateInstalled, "payload": s.one, "grants": map[string]string{"restartCRIO": report.BootID},
	})
	require.NoError(t, err)
	require.NoError(t, s.node.WriteFile(intentFile, document, 0o644))
	s.run("systemctl", "restart", agentUnit)
	s.await("the node reports that it is installed", func(ctx context.Context) error {
		content, err := s.node.Exec(ctx, "cat", "/run/kata-node-agent/report.json")
		if err != nil {
			return err
		}
		r, err := node.DecodeReport(string(content))
		if err == nil && (r.Phase != node.PhaseInstalled || r.Error != nil) {
			err = fmt.Errorf("it reports %s", content)
		}
		return err
	})
	assert.NotEqual(t, pending, s.current())
	s.assertCRIOStarts(2)
}
