// SPDX-License-Identifier: Apache-2.0

package copying_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// makeClass makes the RuntimeClass of the handler that is copied.
func makeClass(b *testing.B, c *fixture.Cluster) {
	b.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: copiedClass}, Handler: copiedClass}
	_, err := c.Kube.NodeV1().RuntimeClasses().Create(b.Context(), class, metav1.CreateOptions{})
	require.NoError(b, err)
}

// lost brings another payload under an ordinary pod and one that runs from the payload that serves.
// It returns how many of their containers have ended over that.
func lost(b *testing.B, c *fixture.Cluster, i installer, p payloads) (count int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	i.settle(b)
	on, class := i.runs()
	pods := map[string]string{on.Name() + "-ordinary": "", on.Name() + "-kata": class}
	for name, class := range pods {
		require.NoError(b, c.RunPod(ctx, name, on.Name(), class))
	}
	for name := range pods {
		_, err := c.AwaitPod(ctx, name, "runs", fixture.Running)
		require.NoError(b, err)
	}
	before := containers(b, on)
	require.Len(b, before, len(pods))
	i.bring(b, p.top)
	after := containers(b, on)
	for _, id := range before {
		if !slices.Contains(after, id) {
			count++
		}
	}
	for name := range pods {
		require.NoError(b, c.EndPod(ctx, name))
	}
	return count
}

// containers are those that run on a node.
func containers(b *testing.B, n *bed.Node) (ids []string) {
	b.Helper()
	askCRIO(b, n, func(ctx context.Context, connection *grpc.ClientConn) {
		running := &runtimeapi.ContainerFilter{State: &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_RUNNING}}
		all, err := runtimeapi.NewRuntimeServiceClient(connection).ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: running})
		require.NoError(b, err)
		for _, container := range all.GetContainers() {
			ids = append(ids, container.GetId())
		}
	})
	return ids
}
