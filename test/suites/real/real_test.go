// SPDX-License-Identifier: Apache-2.0

package real_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// limit is for a machine that is busy with other things. Only a test that fails waits so long.
const limit = 5 * time.Minute

// world is a cluster with one node, an ordinary pod on it, and a controller.
type world struct {
	*fixture.Cluster

	node     *fixture.Node
	ordinary *corev1.Pod
	payloads map[string]string
}

func TestKataComesAndGoesBesideAnOrdinaryPod(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	w := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	w.prepare(ctx, t)
	starts, err := w.node.CRIOStarts(ctx)
	require.NoError(t, err)

	require.NoError(t, w.Deploy(ctx, "kata", node.RuntimeClass), "no node can run it yet")
	require.NoError(t, w.ApplySample(ctx))
	_, err = w.AwaitConfig(ctx, "is completed", fixture.Completed(1))
	require.NoError(t, err)
	w.installed(ctx, t)
	again, err := w.node.CRIOStarts(ctx)
	require.NoError(t, err)
	assert.Equal(t, starts+1, again, "CRI-O has been restarted once")

	pod := w.kataPod(ctx, t)
	w.update(ctx, t, pod)

	require.NoError(t, w.Undeploy(ctx, "kata"))
	require.NoError(t, w.DeleteSample(ctx))
	require.NoError(t, w.AwaitGone(ctx))
	_, err = w.AwaitNode(ctx, w.node.Name(), "has no label", func(n *corev1.Node) bool { return n.Labels[node.ReadyLabel] == "" })
	require.NoError(t, err)
	w.untouched(ctx, t)
	again, err = w.node.CRIOStarts(ctx)
	require.NoError(t, err)
	assert.Equal(t, starts+1, again, "neither update nor removal restarts CRI-O")
}

func start(t *testing.T) *world {
	t.Helper()
	cluster, err := fixture.Start(t.Context(), fixture.Options{Race: true, Real: true, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if t.Failed() {
			cluster.Logs(ctx, os.Stderr, "kata-node-agent.service", "crio.service", "kubelet.service")
		}
		assert.NoError(t, cluster.Close(ctx))
	})
	return &world{Cluster: cluster, payloads: map[string]string{}}
}

// prepare returns when the node is a worker that the sample selects, and its ordinary pod is ready.
func (w *world) prepare(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, version := range []string{"1.0.0", "2.0.0"} {
		image, err := w.Push(ctx, fixture.Payload{Version: version})
		require.NoError(t, err)
		w.payloads[version] = image
	}
	require.NoError(t, w.StartController(ctx, w.payloads["1.0.0"]))
	var err error
	w.node, err = w.AddNode(ctx, "n1")
	require.NoError(t, err)
	require.NoError(t, w.node.AwaitAgent(ctx))
	require.NoError(t, w.Select(ctx, "n1"))
	require.NoError(t, w.Deploy(ctx, "ordinary", ""))
	w.ordinary, err = w.AwaitPodOf(ctx, "ordinary", "is ready", bed.PodReady)
	require.NoError(t, err)
}

// installed checks what agent, controller and kubelet say of the node.
func (w *world) installed(ctx context.Context, t *testing.T) {
	t.Helper()
	_, err := w.node.AwaitReport(ctx, "is installed", func(r node.Report) bool { return r.Phase == node.PhaseInstalled })
	require.NoError(t, err)
	object, err := w.node.Object(ctx)
	require.NoError(t, err)
	assert.Equal(t, node.ReadyValue, object.Labels[node.ReadyLabel])
	var handlers []string
	for _, handler := range object.Status.RuntimeHandlers {
		handlers = append(handlers, handler.Name)
	}
	assert.Subset(t, handlers, []string{"", "runc", node.RuntimeClass})
}

// kataPod waits for the pod of kata-oc, and uses it as its owner would.
func (w *world) kataPod(ctx context.Context, t *testing.T) *corev1.Pod {
	t.Helper()
	pod, err := w.AwaitPodOf(ctx, "kata", "is ready", bed.PodReady)
	require.NoError(t, err)
	log, err := w.PodLog(ctx, pod)
	require.NoError(t, err)
	assert.Equal(t, bed.DeploymentLog, string(log))
	w.answers(ctx, t, pod)
	shims, err := w.node.Shims(ctx)
	require.NoError(t, err)
	assert.Len(t, shims, 1, "its shim runs from the payload, and no proof has left one")
	return pod
}

func (w *world) answers(ctx context.Context, t *testing.T, pod *corev1.Pod) {
	t.Helper()
	out, err := w.ExecPod(ctx, pod, "cat", "/proc/1/comm")
	require.NoError(t, err)
	assert.Equal(t, "sh\n", string(out))
}

// update goes to the second payload, under the pod of the first.
func (w *world) update(ctx context.Context, t *testing.T, pod *corev1.Pod) {
	t.Helper()
	require.NoError(t, w.SetPayload(ctx, w.payloads["2.0.0"]))
	_, err := w.AwaitConfig(ctx, "is completed with the second payload", fixture.Completed(1))
	require.NoError(t, err)
	after, err := w.AwaitPodOf(ctx, "kata", "is ready", bed.PodReady)
	require.NoError(t, err)
	assert.Equal(t, bed.Containers(pod), bed.Containers(after))
	w.answers(ctx, t, after)
}

// untouched checks that the ordinary pod is as it was in the beginning.
func (w *world) untouched(ctx context.Context, t *testing.T) {
	t.Helper()
	after, err := w.AwaitPodOf(ctx, "ordinary", "is ready", bed.PodReady)
	require.NoError(t, err)
	assert.Equal(t, bed.Containers(w.ordinary), bed.Containers(after))
	w.answers(ctx, t, after)
}
