// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

func TestANodeObjectMadeAgainKeepsItsInstallation(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "made-again")
	s.install()
	mounts := s.payloadMounts()
	answered := s.awaitReport("is installed", in(node.PhaseInstalled)).IntentID

	nodes := s.cluster.Kube.CoreV1().Nodes()
	require.NoError(t, nodes.Delete(t.Context(), s.name, metav1.DeleteOptions{}))
	_, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: s.name, Labels: map[string]string{workerLabel: "", subjectLabel: s.name},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	s.restartKubelet()
	s.awaitReport("answers an intent of the new Node", func(r node.Report) bool {
		return in(node.PhaseInstalled)(r) && r.IntentID != answered
	})
	s.awaitCompleted()
	assert.Equal(t, mounts, s.payloadMounts(), "nothing was mounted again")
	s.runPod("pod")
	s.assertCRIOStarts(2)
}

func TestANodeThatWasDownWhenItsKataConfigWentCleansItself(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "down")
	s.install()
	require.NoError(t, s.node.CutPower(t.Context()))
	s.unwantSoon()
	s.awaitIntent("wants nothing", func(i node.Intent) bool { return i.State == node.StateAbsent })
	_, err := s.config(t.Context())
	require.NoError(t, err, "the KataConfig waits for the node")

	require.NoError(t, s.node.Boot(t.Context()))
	s.awaitUnwanted()
	s.assertClean()
	s.awaitReport("is idle", in(node.PhaseIdle))
}

func TestAnIntentThatVanishedTakesNothingAway(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "vanished")
	s.install()
	mounts := s.payloadMounts()
	s.pause() // so that the intent stays away until the agent has seen it
	for range 2 {
		// The agent writes a missing report again, the second one after a look at a Node without
		// intent.
		s.removeAnnotations(node.IntentAnnotation, node.ReportAnnotation)
		s.awaitReport("is installed", in(node.PhaseInstalled))
	}
	s.runPod("meanwhile")
	object, err := s.node.Object(t.Context())
	require.NoError(t, err)
	require.NotContains(t, object.Annotations, node.IntentAnnotation)

	s.change("paused", false)
	s.awaitIntent("wants the payload", func(i node.Intent) bool { return i.State == node.StateInstalled && i.Payload == s.one })
	s.awaitCompleted()
	assert.Equal(t, mounts, s.payloadMounts())
	s.assertCRIOStarts(2)
}

func TestAnInstallationThatNobodyWantsIsRemoved(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "unwanted")
	s.install()
	s.node.API.Cut() // the agent learns nothing before all is gone
	s.unwantSoon()
	finalizers := []byte(`{"metadata":{"finalizers":null}}`)
	_, err := s.configs().Patch(t.Context(), s.name, types.MergePatchType, finalizers, metav1.PatchOptions{})
	require.NoError(t, err)
	s.awaitUnwanted()
	s.removeAnnotations(node.IntentAnnotation)
	s.node.API.Restore()
	s.awaitReport("is idle", in(node.PhaseIdle))
	s.assertClean()
	s.assertCRIOStarts(2)
}

// removeAnnotations takes annotations off the Node, as an administrator may.
func (s *subject) removeAnnotations(keys ...string) {
	s.t.Helper()
	gone := map[string]any{}
	for _, key := range keys {
		gone[key] = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": gone}})
	require.NoError(s.t, err)
	_, err = s.cluster.Kube.CoreV1().Nodes().Patch(s.t.Context(), s.name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(s.t, err)
}

// dictate writes an intent that the controller never would, with the controller's own account.
func (s *subject) dictate(intent string) {
	s.t.Helper()
	config, err := s.cluster.ServiceAccount(s.t.Context(), "kata-node", "kata-controller")
	require.NoError(s.t, err)
	controller, err := kubernetes.NewForConfig(config)
	require.NoError(s.t, err)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{node.IntentAnnotation: intent}}})
	require.NoError(s.t, err)
	_, err = controller.CoreV1().Nodes().Patch(s.t.Context(), s.name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(s.t, err)
}

func (s *subject) awaitIntent(what string, wanted func(node.Intent) bool) {
	s.t.Helper()
	s.awaitObject(what, func(o *corev1.Node) bool {
		intent, err := node.DecodeIntent(o.Annotations[node.IntentAnnotation])
		return err == nil && wanted(intent)
	})
}

// awaitObject waits until the Node is as wanted.
func (s *subject) awaitObject(what string, wanted func(*corev1.Node) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, err := s.cluster.AwaitNode(ctx, s.name, what, wanted)
	require.NoError(s.t, err)
}

func (s *subject) awaitBlocked() {
	s.t.Helper()
	s.awaitReport("waits for bound pods", func(r node.Report) bool { return r.Phase == node.PhaseBlocked && r.BoundPods.Count == 1 })
}

// awaitStatus waits until systemctl status shows these words.
func (s *subject) awaitStatus(words string) {
	s.t.Helper()
	s.await("the agent says that it "+words, func(ctx context.Context) error {
		unit, err := s.node.Unit(ctx, agentUnit)
		if err == nil && !strings.Contains(unit["StatusText"], words) {
			err = errors.New("it says " + unit["StatusText"])
		}
		return err
	})
}
