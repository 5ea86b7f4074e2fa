// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The kernel may kill a shim for want of memory. CRI-O stops no sandbox without its shim, and its
// pod does not end.
func TestASandboxThatCRIOCannotStopIsNamedAndEndsWithAReboot(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "shimless")
	s.install()
	s.runPod("pod")
	sandbox := "default/" + s.pod("pod") + " (" + s.sandbox("pod") + ")"
	s.unwantSoon()
	s.awaitBlocked()
	s.killShims(1)
	s.awaitStatus("The shim of default/" + s.pod("pod") + " has ended, and CRI-O cannot stop a sandbox without its shim; if it stays, reboot this node")

	atOnce := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	require.NoError(t, s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Delete(t.Context(), s.pod("pod"), atOnce))
	s.awaitStatus("waiting for kata sandbox " + sandbox + " to end: its shim has ended")
	assert.Len(t, s.payloadMounts(), 1, "a VM may run on without its shim")

	require.NoError(t, s.node.Reboot(t.Context()))
	s.awaitUnwanted()
	s.assertClean()
}
