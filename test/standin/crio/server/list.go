// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ListPodSandbox lists the sandboxes that pass the filter; an unknown id in it gives an empty list.
func (s *Server) ListPodSandbox(_ context.Context, req *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	response := &runtimeapi.ListPodSandboxResponse{Items: []*runtimeapi.PodSandbox{}}
	for _, r := range s.Store.List(req.GetFilter()) {
		response.Items = append(response.Items, r.CRI())
	}
	return response, nil
}

// PodSandboxStatus describes one sandbox; an unknown one is code NotFound.
// Only the verbose form tells its handler, in an annotation of the runtime spec.
func (s *Server) PodSandboxStatus(_ context.Context, req *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	r, ok := s.Store.Find(req.GetPodSandboxId())
	if !ok {
		return nil, status.Errorf(codes.NotFound, "could not find pod %q", req.GetPodSandboxId())
	}
	response := &runtimeapi.PodSandboxStatusResponse{Status: r.Status()}
	if !req.GetVerbose() {
		return response, nil
	}
	info, err := json.Marshal(map[string]any{"runtimeSpec": spec(r, s.CgroupParent)})
	if err != nil {
		return nil, err
	}
	response.Info = map[string]string{"info": string(info)}
	return response, nil
}
