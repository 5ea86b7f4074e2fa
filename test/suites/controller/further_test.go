// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// awaitFurtherLabel waits until the label of a further handler is there, or is not.
func (w *worker) awaitFurtherLabel(t *testing.T, name string, want bool) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		if assert.NoError(t, err) {
			assert.Equal(t, want, n.Labels[node.FurtherLabel(name)] == node.ReadyValue)
		}
	})
}

// awaitHandlers waits until the intent names these further handlers.
func (w *worker) awaitHandlers(t *testing.T, names ...string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		require.NoError(t, err)
		intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
		if assert.NoError(t, err) {
			assert.Equal(t, names, intent.Handlers)
		}
	})
}

func proves(names ...string) func(*node.Report) {
	return func(r *node.Report) { r.Handlers = names }
}

func (c *cluster) selects(ctx context.Context, t require.TestingT, name string) map[string]string {
	class, err := c.kube.NodeV1().RuntimeClasses().Get(ctx, name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, name, class.Handler)
	return class.Scheduling.NodeSelector
}

func (c *cluster) awaitSelector(t *testing.T, name string, want map[string]string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) { assert.Equal(t, want, c.selects(ctx, t, name)) })
}

func TestAFurtherHandlerIsThereOnNodesThatProvedIt(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{}")
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")

	c.kataConfig(t, "kata", "{config: {handlers: [rs]}}")
	c.awaitSelector(t, "kata-oc-rs", map[string]string{node.ReadyLabel: "true", node.FurtherLabel("rs"): "true"})
	w.awaitHandlers(t, "rs")
	w.reports(t, node.PhaseInstalling)
	c.awaitCounts(t, "kata", "0/1/0/0 of 1 Installing")
	w.reports(t, node.PhaseInstalled)
	kc := c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "bring it to the controller's version", "an older agent reports no handlers")
	w.awaitLabel(t, true)
	w.awaitFurtherLabel(t, "rs", false)
	w.reports(t, node.PhaseInstalled, proves("rs"))
	c.awaitCounts(t, "kata", "0/1/0/0 of 1 Installing") // The kubelet does not list the handler.
	w.serves(t, "runc", node.Handler, "kata-oc-rs")
	w.awaitFurtherLabel(t, "rs", true)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")

	c.kataConfig(t, "kata", "{}")
	c.awaitSelector(t, "kata-oc-rs", map[string]string{runtimeclass.WithdrawnLabel: "true"})
	w.awaitHandlers(t)
	w.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	w.awaitFurtherLabel(t, "rs", true)

	c.delete(t, "kata")
	w.removes(t)
	w.awaitFurtherLabel(t, "rs", false)
	c.awaitGone(t, "kata")
	c.awaitClasses(t, map[string]string{})
}

func TestAFurtherHandlersClassOfAnotherOwnerIsNamed(t *testing.T) {
	t.Parallel()
	c := start(t)
	theirs := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata-oc-rs"}, Handler: "runsc"}
	_, err := c.kube.NodeV1().RuntimeClasses().Create(t.Context(), theirs, metav1.CreateOptions{})
	require.NoError(t, err)
	c.run(t, settings())
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{config: {handlers: [rs]}}")
	w.awaitHandlers(t, "rs")
	w.reports(t, node.PhaseInstalled, proves("rs"))
	w.awaitFurtherLabel(t, "rs", true)
	kc := c.awaitCounts(t, "kata", "1/0/0/0 of 1 RuntimeClassConflict")
	assert.Contains(t, kc.Status.Conditions[2].Message, "take rs out of spec.config.handlers")
	require.NoError(t, c.kube.NodeV1().RuntimeClasses().Delete(t.Context(), "kata-oc-rs", metav1.DeleteOptions{}))
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	c.awaitSelector(t, "kata-oc-rs", map[string]string{node.ReadyLabel: "true", node.FurtherLabel("rs"): "true"})
}

func TestLabelsAndClassesOfFurtherHandlersAreTheControllersAlone(t *testing.T) {
	t.Parallel()
	c := start(t)
	one := c.worker(t, "one")
	controller := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:masters"}})
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	owned := map[string]string{runtimeclass.OwnerLabel: runtimeclass.Owner}
	for _, name := range node.FurtherHandlers() {
		set := attempt{"one", "", labelled(node.FurtherLabel(name), "true")}
		require.ErrorContains(t, set.by(t.Context(), c.kube), "after the node has proved")
		require.Error(t, set.by(t.Context(), one.kube))
		require.NoError(t, set.by(t.Context(), controller))
		require.NoError(t, attempt{"one", "", `{"metadata":{"labels":{"` + node.FurtherLabel(name) + `":null}}}`}.by(t.Context(), c.kube), "whoever may delete the policy removes it")
		class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: node.FurtherHandler(name), Labels: owned}, Handler: node.FurtherHandler(name)}
		_, err := controller.NodeV1().RuntimeClasses().Create(t.Context(), class, dry)
		require.NoError(t, err)
		class.Handler = node.Handler
		_, err = controller.NodeV1().RuntimeClasses().Create(t.Context(), class, dry)
		require.ErrorContains(t, err, "writes no RuntimeClass but kata-oc and its aliases")
		class.Name, class.Handler = "kata-oc", node.FurtherHandler(name)
		_, err = controller.NodeV1().RuntimeClasses().Create(t.Context(), class, dry)
		require.ErrorContains(t, err, "writes no RuntimeClass but kata-oc and its aliases")
	}
	require.Error(t, attempt{"one", "", labelled(node.ReadyLabel+"-proof", "true")}.by(t.Context(), controller), "no other label")
}
