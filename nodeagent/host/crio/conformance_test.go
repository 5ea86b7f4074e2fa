// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

// running is a runtime that remembers what it runs.
type running struct{ *fake }

func (r running) RunPodSandbox(_ context.Context, q *cri.RunPodSandboxRequest) (*cri.RunPodSandboxResponse, error) {
	name := q.GetConfig().GetMetadata().GetName()
	for _, s := range r.sandboxes { // CRI-O looks at the name first.
		if s.GetMetadata().GetName() == name && q.GetRuntimeHandler() != node.ProofHandler {
			return &cri.RunPodSandboxResponse{PodSandboxId: s.GetId()}, nil
		}
	}
	if q.GetRuntimeHandler() != node.ProofHandler {
		return nil, status.Errorf(codes.Unknown, "failed to find runtime handler %s from runtime list map[]", q.GetRuntimeHandler())
	}
	if len(r.sandboxes) > 0 {
		return nil, status.Errorf(codes.Unknown, "pod sandbox with name %q already exists", name)
	}
	r.add("1", q.GetRuntimeHandler(), ready)
	r.sandboxes[0].Metadata = q.GetConfig().GetMetadata()
	return &cri.RunPodSandboxResponse{PodSandboxId: "1"}, nil
}

func (r running) RemovePodSandbox(_ context.Context, q *cri.RemovePodSandboxRequest) (*cri.RemovePodSandboxResponse, error) {
	r.created = nil
	r.sandboxes = slices.DeleteFunc(r.sandboxes, func(s *cri.PodSandbox) bool { return s.GetId() == q.GetPodSandboxId() })
	return &cri.RemovePodSandboxResponse{}, nil
}

func TestTheClientConforms(t *testing.T) {
	t.Parallel()
	shim := host.ProofLink + "/" + node.ProofHandler + "/" + host.Shim
	config := fmt.Sprintf(`{"crio":{"Runtimes":{%q:{"RuntimePath":%q}}}}`, node.ProofHandler, shim)
	hosttest.ConformSandboxes(t, dial(t, running{&fake{config: config}}))
}
