// SPDX-License-Identifier: Apache-2.0

package bed_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/test/bed"
)

const clientCertificate = "/var/lib/kubelet/pki/kubelet-client-current.pem"

// limit of each thing that is awaited of a real node, on a machine that is busy with other things.
const limit = 4 * time.Minute

// limited is a context for one of them.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestRealNodeRunsADeployment(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	cluster := start(t, bed.NodePrograms()...)
	node := addReal(t, cluster, bed.NodeOptions{})
	require.NoError(t, cluster.Deploy(limited(t), "web", ""))
	pod, err := cluster.AwaitPodOf(limited(t), "web", "is ready", bed.PodReady)
	require.NoError(t, err)
	assert.Equal(t, node.Name(), pod.Spec.NodeName, "the scheduler chose it")

	log, err := cluster.PodLog(limited(t), pod)
	require.NoError(t, err)
	assert.Equal(t, bed.DeploymentLog, string(log))
	out, err := cluster.ExecPod(limited(t), pod, "cat", "/proc/1/comm")
	require.NoError(t, err)
	assert.Equal(t, "sh\n", string(out))

	for _, unit := range []string{"kubelet", "crio"} {
		_, err := node.Exec(limited(t), "systemctl", "restart", unit+".service")
		require.NoError(t, err)
		// Once another pod runs, the kubelet has looked at this one, too.
		require.NoError(t, cluster.Deploy(limited(t), "after-"+unit, ""))
		_, err = cluster.AwaitPodOf(limited(t), "after-"+unit, "is ready", bed.PodReady)
		require.NoError(t, err)
		after, err := cluster.AwaitPodOf(limited(t), "web", "is ready", bed.PodReady)
		require.NoError(t, err)
		assert.Equal(t, bed.Containers(pod), bed.Containers(after), "after a restart of %s", unit)
		out, err := cluster.ExecPod(limited(t), after, "cat", "/proc/1/comm")
		require.NoError(t, err, "after a restart of %s", unit)
		assert.Equal(t, "sh\n", string(out))
	}

	require.NoError(t, node.Reboot(limited(t)))
	again, err := cluster.AwaitPodOf(limited(t), "web", "runs again", func(p *corev1.Pod) bool {
		return bed.PodReady(p) && !slices.Equal(bed.Containers(p), bed.Containers(pod))
	})
	require.NoError(t, err)
	assert.Equal(t, pod.UID, again.UID)
	assert.Equal(t, int32(1), again.Status.ContainerStatuses[0].RestartCount)
}

// addReal returns when the node has been ready.
func addReal(t *testing.T, cluster *bed.Cluster, options bed.NodeOptions) *bed.Node {
	t.Helper()
	node, err := cluster.AddNode(limited(t), "n1", options)
	require.NoError(t, err)
	ready(t, cluster, node)
	return node
}

func ready(t *testing.T, cluster *bed.Cluster, node *bed.Node) {
	t.Helper()
	started := time.Now()
	object, err := cluster.AwaitNode(limited(t), node.Name(), "is ready", bed.NodeReady)
	require.NoError(t, err)
	t.Logf("ready %s after the boot", time.Since(started).Round(time.Millisecond))
	var handlers []string
	for _, handler := range object.Status.RuntimeHandlers {
		handlers = append(handlers, handler.Name)
	}
	assert.Subset(t, handlers, []string{"", "runc"})
}

func TestRealKubeletRenewsItsCertificate(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	cluster := start(t, bed.NodePrograms()...)
	node, err := cluster.AddNode(limited(t), "n1", bed.NodeOptions{Off: true})
	require.NoError(t, err)
	require.NoError(t, node.WriteExpiringCredential(limited(t), time.Hour))
	file, err := node.ReadFile(limited(t), clientCertificate)
	require.NoError(t, err)
	before := certificate(t, file)
	require.NoError(t, node.Boot(limited(t)))
	ready(t, cluster, node)
	after := before
	require.Eventually(t, func() bool {
		file, err := node.Exec(t.Context(), "cat", clientCertificate)
		require.NoError(t, err)
		after = certificate(t, file)
		return !after.Equal(before)
	}, limit, 100*time.Millisecond)
	assert.Equal(t, before.Subject.String(), after.Subject.String())
	assert.Greater(t, after.NotAfter, before.NotAfter.Add(time.Hour))
	_, err = node.Exec(limited(t), "systemctl", "restart", "kubelet.service")
	require.NoError(t, err)
	ready(t, cluster, node)
}

func certificate(t *testing.T, file []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(file)
	require.NotNil(t, block)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return parsed
}
