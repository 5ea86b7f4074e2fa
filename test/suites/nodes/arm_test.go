// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/test/bed"
)

// A node whose administrator has armed it never restarts CRI-O: not for the installation, and not
// for the next one after a removal.
func TestAnArmedNodeIsInstalledWithoutARestartOfCRIO(t *testing.T) {
	t.Parallel()
	s := newSubjectWith(t, "armed", bed.NodeOptions{Files: map[string]string{"/etc/kata-agent/arm.toml": "arm = true\n"}})
	s.await("the kubelet shows the handler before anything is wanted", func(ctx context.Context) error {
		object, err := s.node.Object(ctx)
		if err == nil && !slices.ContainsFunc(object.Status.RuntimeHandlers, func(h corev1.NodeRuntimeHandler) bool { return h.Name == node.Handler }) {
			err = errors.New("it does not")
		}
		return err
	})
	report := s.awaitReport("idle", in(node.PhaseIdle))
	assert.Empty(t, report.Payload, "nothing is served")
	s.assertCRIOStarts(1)

	s.install()
	s.runPod("pod")
	s.assertCRIOStarts(1)

	s.endPod("pod")
	s.unwant()
	s.await("the removal has ended", func(ctx context.Context) error {
		report, err := s.node.Report(ctx)
		if err == nil && report.Phase != node.PhaseIdle {
			err = errors.New("it is " + string(report.Phase))
		}
		return err
	})
	assert.True(t, s.hasFile(dropIn), "CRI-O keeps the handlers")
	assert.Empty(t, s.payloadMounts())
	require.Equal(t, pending, s.current())

	s.install()
	s.assertCRIOStarts(1)
}
