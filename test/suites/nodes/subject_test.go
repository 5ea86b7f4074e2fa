// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

const (
	agentUnit   = "kata-node-agent.service"
	crioUnit    = "crio.service"
	kubeletUnit = "kubelet.service"
	dropIn      = "/etc/crio/crio.conf.d/60-kata-agent.conf"
)

// subject is one node and the KataConfig that selects it alone; both have the same name.
type subject struct {
	*shared

	t         *testing.T
	name      string
	node      *fixture.Node
	bystander bystander
}

// newSubject boots a node that has an agent and is ready, and that no KataConfig selects. An
// ordinary pod runs on it. It goes when the test ends.
func newSubject(t *testing.T, name string) *subject {
	t.Helper()
	return newSubjectWith(t, name, bed.NodeOptions{})
}

// newSubjectWith is newSubject for a node of another kind.
func newSubjectWith(t *testing.T, name string, o bed.NodeOptions) *subject {
	t.Helper()
	s := boot(t, name, o)
	s.join()
	return s
}

// boot boots a node with the agent's package. It goes when the test ends.
func boot(t *testing.T, name string, options bed.NodeOptions) *subject {
	t.Helper()
	s := &subject{shared: sharedCluster(t), t: t, name: name}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	node, err := s.cluster.AddNodeWith(ctx, name, options)
	require.NoError(t, err)
	s.node = node
	t.Cleanup(s.close)
	return s
}

// join returns when the node is a ready worker with an agent, and an ordinary pod runs on it.
func (s *subject) join() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.node.AwaitAgent(ctx))
	worker := ""
	require.NoError(s.t, s.cluster.LabelNode(ctx, s.name, map[string]*string{workerLabel: &worker, subjectLabel: &s.name}))
	s.runBystander()
}

// close checks what holds for every test, prints logs where one failed, and takes the node out of
// the cluster.
func (s *subject) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	s.invariants(ctx)
	if s.t.Failed() {
		s.logs(ctx)
	}
	pods := s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault)
	atOnce := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	assert.NoError(s.t, s.node.Remove(ctx))
	assert.NoError(s.t, pods.DeleteCollection(ctx, atOnce, metav1.ListOptions{FieldSelector: "spec.nodeName=" + s.name}))
	for _, err := range []error{
		s.cluster.Kube.CoreV1().Nodes().Delete(ctx, s.name, metav1.DeleteOptions{}),
		s.configs().Delete(ctx, s.name, metav1.DeleteOptions{}),
	} {
		if !apierrors.IsNotFound(err) {
			assert.NoError(s.t, err)
		}
	}
}

// invariants hold whatever a test did: no kubelet ever turned a pod away, the ordinary pod was
// never disturbed, and no data race was seen.
func (s *subject) invariants(ctx context.Context) {
	s.assertUndisturbed(ctx)
	if rejections, err := s.node.Rejections(ctx); assert.NoError(s.t, err) {
		assert.Empty(s.t, rejections, "the kubelet has rejected a pod")
	}
	if journal, err := s.node.Journal(ctx, agentUnit); assert.NoError(s.t, err) {
		assert.NotContains(s.t, journal, "DATA RACE")
		assert.NotRegexp(s.t, `kata-node-agent\[\d+\]: panic: `, journal)
	}
}

func (s *subject) logs(ctx context.Context) {
	s.cluster.Logs(ctx, s.t.Output())
	for _, unit := range []string{agentUnit, crioUnit, kubeletUnit} {
		journal, err := s.node.Journal(ctx, unit)
		s.t.Logf("---- %s %s (%v)\n%s", s.name, unit, err, tail(journal))
	}
}

// tail is enough of a log to see how a test went wrong.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-150):], "\n")
}

// patience is how long any one thing may take on a machine that is busy with other things. Only a
// test that fails waits so long.
const patience = 4 * time.Minute

// await asks until the answer is nil, and ends the test with the last one where that takes too
// long. It asks for a fifth of the time at most, since the tests that wait take the processors from
// those that do something.
func (s *subject) await(what string, ask func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		began := time.Now()
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(max(50*time.Millisecond, 4*time.Since(began))):
		case <-ctx.Done():
			require.NoError(s.t, err, "waiting until "+what)
		}
	}
}

// run runs a command on the node.
func (s *subject) run(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := s.node.Exec(ctx, args...)
	require.NoError(s.t, err)
	return string(bytes.TrimSpace(out))
}

// mainPID is the process of a unit as the node numbers it.
func (s *subject) mainPID(unit string) int {
	s.t.Helper()
	properties, err := s.node.Unit(s.t.Context(), unit)
	require.NoError(s.t, err)
	pid, err := strconv.Atoi(properties["MainPID"])
	require.NoError(s.t, err)
	require.NotZero(s.t, pid, "%s is %s", unit, properties["ActiveState"])
	return pid
}

// kill sends SIGKILL to the agent's main process and returns when systemd has started another.
func (s *subject) kill() {
	s.t.Helper()
	pid := s.mainPID(agentUnit)
	s.run("kill", "-KILL", strconv.Itoa(pid))
	s.awaitNewAgent(pid)
}
