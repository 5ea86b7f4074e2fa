// SPDX-License-Identifier: Apache-2.0

package cri_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/cri"
)

// server answers as a runtime with one sandbox; it refuses handler "missing".
type server struct {
	api.UnimplementedRuntimeServiceServer
	stopped, removed []string
}

func (s *server) Version(context.Context, *api.VersionRequest) (*api.VersionResponse, error) {
	return &api.VersionResponse{RuntimeName: "cri-o"}, nil
}

func (s *server) ListPodSandbox(context.Context, *api.ListPodSandboxRequest) (*api.ListPodSandboxResponse, error) {
	return &api.ListPodSandboxResponse{Items: []*api.PodSandbox{{Id: "s1"}}}, nil
}

func (s *server) RunPodSandbox(_ context.Context, r *api.RunPodSandboxRequest) (*api.RunPodSandboxResponse, error) {
	if r.GetRuntimeHandler() == "missing" {
		return nil, status.Error(codes.Unknown, `no handler "missing"`)
	}
	return &api.RunPodSandboxResponse{PodSandboxId: "id-of-" + r.GetConfig().GetMetadata().GetName()}, nil
}

func (s *server) StopPodSandbox(_ context.Context, r *api.StopPodSandboxRequest) (*api.StopPodSandboxResponse, error) {
	s.stopped = append(s.stopped, r.GetPodSandboxId())
	return &api.StopPodSandboxResponse{}, nil
}

func (s *server) RemovePodSandbox(_ context.Context, r *api.RemovePodSandboxRequest) (*api.RemovePodSandboxResponse, error) {
	s.removed = append(s.removed, r.GetPodSandboxId())
	return &api.RemovePodSandboxResponse{}, nil
}

func serve(t *testing.T, socket string) *server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	s, g := &server{}, grpc.NewServer()
	api.RegisterRuntimeServiceServer(g, s)
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	return s
}

func dial(t *testing.T, socket string) *cri.Client {
	t.Helper()
	client, err := cri.Dial(socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestCallsReachTheRuntime(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "crio.sock")
	runtime, client := serve(t, socket), dial(t, socket)
	version, err := client.Version(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "cri-o", version.GetRuntimeName())
	all, err := client.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, all, 1)
	require.NoError(t, client.Stop(t.Context(), "s1"))
	require.NoError(t, client.Remove(t.Context(), "s1"))
	assert.Equal(t, []string{"s1"}, runtime.stopped)
	assert.Equal(t, []string{"s1"}, runtime.removed)
}

func TestARefusedSandboxKeepsTheRuntimesWords(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "crio.sock")
	serve(t, socket)
	client := dial(t, socket)
	config := &api.PodSandboxConfig{Metadata: &api.PodSandboxMetadata{Name: "p"}}
	id, err := client.Run(t.Context(), config, "")
	require.NoError(t, err)
	assert.Equal(t, "id-of-p", id)
	_, err = client.Run(t.Context(), config, "missing")
	assert.EqualError(t, err, `rpc error: code = Unknown desc = no handler "missing"`)
}

func TestAnAbsentRuntimeIsNamedByTheCallThatFailed(t *testing.T) {
	t.Parallel()
	_, err := dial(t, filepath.Join(t.TempDir(), "absent.sock")).Status(t.Context())
	assert.ErrorContains(t, err, "asking the runtime for its status")
}
