// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// traces is everything on a node and its Node object that an installation touches.
type traces struct {
	files               snapshot.Snapshot
	mounts              []string
	labels, annotations map[string]string
	conditions          []string
}

func TestARemovalLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "removed")
	before := s.traces()
	s.install()
	s.runPod("pod")
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	require.NotEmpty(t, snapshot.Diff(before.files, s.traces().files))
	s.endPod("pod")
	s.unwant()
	s.awaitReport("is idle", in(node.PhaseIdle))

	// The record of the intent is the last file, and is deleted after that report.
	s.await("has no new file", func(ctx context.Context) error {
		_, err := s.node.Exec(ctx, "test", "!", "-e", host.IntentFile)
		return err
	})
	after := s.traces()
	assert.Empty(t, snapshot.Diff(before.files, after.files))
	assert.Equal(t, before.mounts, after.mounts)
	assert.Equal(t, before.labels, after.labels)
	assert.Equal(t, before.annotations, after.annotations)
	assert.Equal(t, before.conditions, after.conditions)
	s.assertCRIOStarts(2)
}

func (s *subject) traces() traces {
	s.t.Helper()
	files, err := s.node.Snapshot(s.t.Context(), "/etc", "/run/kata-agent", "/var/lib/kata-*", "/var/log/crio")
	require.NoError(s.t, err)
	object, err := s.node.Object(s.t.Context())
	require.NoError(s.t, err)
	return traces{
		files: files, mounts: s.mountTable(),
		labels: maps.Clone(object.Labels), annotations: maps.Clone(object.Annotations), conditions: conditions(object),
	}
}

// mountTable leaves out what the kernel numbers anew with every mount: ids and device numbers.
func (s *subject) mountTable() []string {
	s.t.Helper()
	mounts, err := s.node.Mounts(s.t.Context())
	require.NoError(s.t, err)
	var lines []string
	for _, m := range mounts {
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s %s %s", m.Mountpoint, m.Root, m.FSType, m.Source, m.Options, m.VFSOptions, m.Optional))
	}
	slices.Sort(lines)
	return lines
}

// conditions leaves out times: heartbeats move by themselves, and the restart of CRI-O may have
// made the node NotReady for a moment.
func conditions(n *corev1.Node) []string {
	var lines []string
	for _, c := range n.Status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(lines)
	return lines
}
