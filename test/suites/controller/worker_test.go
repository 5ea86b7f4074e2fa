// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-helpers/apimachinery/lease"
	utilclock "k8s.io/utils/clock"
)

// bootID is the one boot of every simulated node.
const bootID = "11111111-2222-3333-4444-555555555555"

// worker is a node that speaks the protocol when the test tells it to.
type worker struct {
	cluster *cluster
	name    string
	uid     types.UID
	kube    *kubernetes.Clientset
}

// worker registers a node with its own credential, as a kubelet does, and gives it the worker role
// and labels as an administrator.
func (c *cluster) worker(t *testing.T, name string, labels ...string) *worker {
	t.Helper()
	config, err := c.NodeUser(name)
	require.NoError(t, err)
	kube, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	w := &worker{cluster: c, name: name, kube: kube}
	w.register(t, labels...)
	w.beat(t)
	return w
}

// beat renews the node's lease as a kubelet does, with its code and times, until the test ends:
// without it the control plane takes a node for lost after 50 s, however busy the machine is.
func (w *worker) beat(t *testing.T) {
	t.Helper()
	beats := lease.NewController(utilclock.RealClock{}, w.kube, w.name, 40, nil, 10*time.Second, w.name, corev1.NamespaceNodeLease, nil)
	var group sync.WaitGroup
	group.Go(func() { beats.Run(t.Context()) })
	t.Cleanup(group.Wait)
}

func (w *worker) register(t *testing.T, labels ...string) {
	t.Helper()
	w.registerWith(t, nil, labels...)
}

// registerWith is register of a kubelet that has registerWithTaints.
func (w *worker) registerWith(t *testing.T, taints []corev1.Taint, labels ...string) {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: map[string]string{corev1.LabelOSStable: "linux", corev1.LabelHostname: w.name}}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "simulated"}}
	n.Status.NodeInfo.BootID = bootID
	n.Spec.Taints = taints
	made, err := w.kube.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
	require.NoError(t, err)
	w.uid = made.UID
	w.label(t, append([]string{"node-role.kubernetes.io/worker"}, labels...)...)
}

// label sets labels as the administrator: key, or key=value.
func (w *worker) label(t *testing.T, labels ...string) {
	t.Helper()
	patch := map[string]*string{}
	for _, l := range labels {
		key, value := l, ""
		for i := range l {
			if l[i] == '=' {
				key, value = l[:i], l[i+1:]
				break
			}
		}
		patch[key] = &value
	}
	require.NoError(t, w.cluster.LabelNode(t.Context(), w.name, patch))
}

// unlabel takes a label away as the administrator.
func (w *worker) unlabel(t *testing.T, key string) {
	t.Helper()
	require.NoError(t, w.cluster.LabelNode(t.Context(), w.name, map[string]*string{key: nil}))
}

// patchStatus patches nodes/status with the node's own credential and the UID it knows.
func (w *worker) patchStatus(ctx context.Context, patch map[string]any) error {
	metadata, _ := patch["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["uid"] = w.uid
	patch["metadata"] = metadata
	document, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = w.kube.CoreV1().Nodes().Patch(ctx, w.name, types.StrategicMergePatchType, document, metav1.PatchOptions{}, "status")
	return err
}

// reports writes the annotation as the agent does.
func (w *worker) reports(t *testing.T, phase node.Phase, changes ...func(*node.Report)) {
	t.Helper()
	r := node.Report{Version: node.Version, Speaks: []int{node.Version}, BootID: bootID, Architecture: "amd64", Phase: phase}
	if intent := w.intent(t); intent != nil && phase != node.PhaseIdle {
		r.IntentID, r.Ping = intent.ID, intent.Ping
		if phase == node.PhaseInstalled {
			r.Payload = node.Digest(intent.Payload)
		}
	}
	for _, change := range changes {
		change(&r)
	}
	document, err := r.Encode()
	require.NoError(t, err)
	w.writes(t, document)
}

// writes puts any text into the report annotation.
func (w *worker) writes(t *testing.T, document string) {
	t.Helper()
	require.NoError(t, w.patchStatus(t.Context(), map[string]any{"metadata": map[string]any{"annotations": map[string]any{node.ReportAnnotation: document}}}))
}

func fails(message string) func(*node.Report) {
	return func(r *node.Report) {
		r.Error = &node.Error{Step: "pull", Reason: "RegistryUnavailable", Message: message}
	}
}

// failsItsProof is what an agent can only find after its restart of CRI-O.
func failsItsProof(r *node.Report) {
	r.Error = &node.Error{Step: "prove payload", Reason: node.ReasonProvePayloadFailed, Message: "the sandbox did not start"}
}

func pods(names ...string) func(*node.Report) {
	return func(r *node.Report) { r.BoundPods = node.BoundPods{Count: len(names), Names: names} }
}

// serves lists handlers as the kubelet does.
func (w *worker) serves(t *testing.T, handlers ...string) {
	t.Helper()
	var list []map[string]any
	for _, h := range handlers {
		list = append(list, map[string]any{"name": h})
	}
	require.NoError(t, w.patchStatus(t.Context(), map[string]any{"status": map[string]any{"runtimeHandlers": list}}))
}

// ready sets the kubelet's condition; false stands for a node that the cluster has lost.
func (w *worker) ready(t *testing.T, ready bool) {
	t.Helper()
	status := corev1.ConditionTrue
	if !ready {
		status = corev1.ConditionUnknown
	}
	require.NoError(t, w.patchStatus(t.Context(), map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": status}}}}))
}

// object reads the Node with its own credential.
func (w *worker) object(ctx context.Context) (*corev1.Node, error) {
	return w.kube.CoreV1().Nodes().Get(ctx, w.name, metav1.GetOptions{})
}

// intent is what the annotation says now, nil when there is none.
func (w *worker) intent(t *testing.T) *node.Intent {
	t.Helper()
	n, err := w.object(t.Context())
	require.NoError(t, err)
	document, found := n.Annotations[node.IntentAnnotation]
	if !found {
		return nil
	}
	intent, err := node.DecodeIntent(document)
	require.NoError(t, err)
	return &intent
}

// awaitIntent waits for an intent with this state and payload; an empty state waits until there is
// none.
func (w *worker) awaitIntent(t *testing.T, state node.State, payload string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		require.NoError(t, err)
		document, found := n.Annotations[node.IntentAnnotation]
		if state == "" {
			assert.False(t, found, document)
			return
		}
		intent, err := node.DecodeIntent(document)
		if assert.NoError(t, err) {
			assert.Equal(t, state, intent.State)
			assert.Equal(t, payload, intent.Payload)
			assert.Equal(t, intent.Identify(string(w.uid)).ID, intent.ID)
		}
	})
}

// awaitLabel waits until the ready label is there, or gone.
func (w *worker) awaitLabel(t *testing.T, want bool) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		if assert.NoError(t, err) {
			value, found := n.Labels[node.ReadyLabel]
			assert.Equal(t, want, found)
			assert.Equal(t, want, value == node.ReadyValue)
		}
	})
}

// awaitGrant waits until CRI-O may be restarted in this boot.
func (w *worker) awaitGrant(t *testing.T) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		require.NoError(t, err)
		intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
		if assert.NoError(t, err) {
			assert.Equal(t, bootID, intent.Grants.RestartCRIO)
		}
	})
}

// installs answers an intent all the way, from whatever it has.
func (w *worker) installs(t *testing.T, payload string) {
	t.Helper()
	w.awaitIntent(t, node.StateInstalled, payload)
	w.reports(t, node.PhaseInstalling)
	w.reports(t, node.PhaseAwaitingGrant)
	w.awaitGrant(t)
	w.serves(t, "runc", node.Handler, node.ProofHandler)
	w.reports(t, node.PhaseInstalled)
	w.awaitLabel(t, true)
}

// removes answers an Absent all the way, down to the agent's report of a node without intent.
func (w *worker) removes(t *testing.T) {
	t.Helper()
	w.awaitIntent(t, node.StateAbsent, "")
	w.reports(t, node.PhaseRemoving)
	w.awaitLabel(t, false)
	w.reports(t, node.PhaseAbsent)
	w.awaitIntent(t, "", "")
	w.reports(t, node.PhaseIdle)
}
