// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
)

func pod(name, class string, phase corev1.PodPhase) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Status: corev1.PodStatus{Phase: phase}}
	if class != "" {
		p.Spec.RuntimeClassName = &class
	}
	return p
}

func annotated(key, value string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{key: value}}}
}

func TestWhatTheNodeAndItsPodsSay(t *testing.T) {
	t.Parallel()
	a := newAPI(t, annotated(node.IntentAnnotation, "an intent"),
		pod("z", "kata-oc", corev1.PodRunning), pod("a", "kata-oc", corev1.PodPending), pod("unknown", "kata-oc", corev1.PodUnknown),
		pod("done", "kata-oc", corev1.PodSucceeded), pod("broken", "kata-oc", corev1.PodFailed), pod("b", "alias", corev1.PodRunning), pod("e", "kata-oc-rs", corev1.PodRunning), pod("c", "deleted-since", corev1.PodRunning), pod("other", "gvisor", corev1.PodRunning), pod("plain", "", corev1.PodRunning))
	c := a.connect()
	assert.Equal(t, cluster.State{
		Known: true, Intent: "an intent", Pods: []string{"ns/a", "ns/b", "ns/c", "ns/e", "ns/unknown", "ns/z"}, PodsKnown: true,
		Evictable: []string{"ns/a", "ns/b", "ns/c", "ns/e", "ns/other", "ns/plain", "ns/unknown", "ns/z"},
	}, c.State())
	assert.ElementsMatch(t, []string{"Node metadata.name=worker-1", "Pod spec.nodeName=worker-1", "RuntimeClass "}, a.asked, "nothing but its own")

	a.change(func(n *corev1.Node) {
		n.Annotations = map[string]string{node.IntentAnnotation: "another", "machineconfiguration.openshift.io/state": "Working"}
	})
	a.await(c, func() bool { return c.State().Intent == "another" })
	assert.NotEmpty(t, c.State().Busy)
}

func TestBeforeTheAPIServerAnswersNothingIsKnown(t *testing.T) {
	t.Parallel()
	c := nodeclient.New(filepath.Join(t.TempDir(), "not there yet"), logrus.New())
	assert.Equal(t, cluster.State{}, c.State())
	assert.Equal(t, node.Report{}, c.Reported())
}

// loud is a log that tells when something is written to it.
type loud struct {
	mu   sync.Mutex
	text bytes.Buffer
	said chan struct{}
}

func (l *loud) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.said <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func TestACredentialThatIsNotAKubeletsIsNamed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{})
	a.user = "system:admin"
	for kubeconfig, says := range map[string]string{
		a.kubeconfig(): `the credential belongs to \"system:admin\", not to a node: use the kubelet's`,
		"/not/there":   "reading the kubelet's credential: ",
	} {
		out := &loud{said: make(chan struct{}, 1)}
		log := logrus.New()
		log.SetOutput(out)
		c := nodeclient.New(kubeconfig, log)
		var running sync.WaitGroup
		running.Go(func() { c.Run(t.Context()) })
		t.Cleanup(running.Wait)
		<-out.said
		out.mu.Lock()
		assert.Contains(t, out.text.String(), says)
		out.mu.Unlock()
		assert.False(t, c.State().Known)
	}
}

func TestPodsAreNotKnownWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{}, pod("a", "kata-oc", corev1.PodRunning))
	c := a.connect()
	require.True(t, c.State().PodsKnown)
	a.mu.Lock()
	a.refused = true
	a.mu.Unlock()
	a.server.CloseClientConnections()
	a.await(c, func() bool { return !c.State().PodsKnown })
	assert.True(t, c.State().Known, "the intent that was seen stays in force")
	a.mu.Lock()
	a.refused = false
	a.mu.Unlock()
	a.await(c, func() bool { return c.State().PodsKnown })
}

func TestPodsCountAMomentAfterTheLabelWasTakenOff(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{node.ReadyLabel: "true"}}})
	c := a.connect()
	assert.True(t, c.State().Labelled)
	a.change(func(n *corev1.Node) { n.Labels = nil })
	a.await(c, func() bool { return !c.State().Labelled })
	assert.False(t, c.State().PodsKnown)
	assert.Eventually(t, func() bool { return c.State().PodsKnown }, time.Minute, 100*time.Millisecond)
}

func TestACredentialThatMayListNothingIsReplaced(t *testing.T) {
	t.Parallel()
	forbidding, other := newAPI(t, &corev1.Node{}), newAPI(t, annotated(node.IntentAnnotation, "seen with the new one"))
	forbidding.refused = true
	file := forbidding.kubeconfig()
	replacement, err := os.ReadFile(other.kubeconfig())
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(t.Output())
	c := nodeclient.New(file, log)
	c.CheckRotationEvery(10 * time.Millisecond)
	var running sync.WaitGroup
	running.Go(func() { c.Run(t.Context()) })
	t.Cleanup(running.Wait)
	require.NoError(t, os.WriteFile(file, append(replacement, ' '), 0o600))
	other.await(c, func() bool { return c.State().Intent != "" })
}

// A watch that was ended for a new credential sees nothing any more, whatever becomes of the new
// one.
func TestPodsAreNotKnownAfterTheCredentialWasReplacedByABadOne(t *testing.T) {
	t.Parallel()
	a := newAPI(t, annotated(node.IntentAnnotation, "seen"))
	file := a.kubeconfig()
	log := logrus.New()
	log.SetOutput(t.Output())
	c := nodeclient.New(file, log)
	c.CheckRotationEvery(10 * time.Millisecond)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	a.await(c, func() bool { return c.State().PodsKnown })
	require.NoError(t, os.WriteFile(file, []byte("no kubeconfig"), 0o600))
	a.await(c, func() bool { return !c.State().PodsKnown })
	assert.Equal(t, "seen", c.State().Intent)
	end()
	running.Wait()
}
