// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A process stands for the VM of a shim that started before a switch and read its configuration
// after it.
func TestASandboxOfTwoPayloadsIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "mixed")
	s.install()
	s.runPod("pod")
	id := s.sandbox("pod")
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	kernel := "/run/kata-agent/" + s.current() + "/payload/kernel"
	s.run("systemd-run", "--unit=vm", "sh", "-c", "sleep infinity; :", "sandbox-"+id+",debug-threads=on", kernel)
	s.awaitStatus("(" + id + ") runs with parts of payload ")
	s.run("systemctl", "stop", "vm")
	s.awaitStatus("running sandboxes hold 1 older")
	s.endPod("pod")
}

// sandbox is the id of a pod's only sandbox.
func (s *subject) sandbox(pod string) (id string) {
	s.t.Helper()
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		all, err := client.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"io.kubernetes.pod.name": s.pod(pod)}})
		require.NoError(s.t, err)
		require.Len(s.t, all, 1)
		id = all[0].GetId()
		return nil
	})
	return id
}
