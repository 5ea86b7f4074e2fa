// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// versioned is a runtime that knows its version.
type versioned struct {
	runtimeapi.UnimplementedRuntimeServiceServer
}

func (versioned) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{RuntimeVersion: "1.36.3"}, nil
}

// newCRI returns a client of a runtime with a server in between.
func newCRI(t *testing.T) (*fault.CRI, runtimeapi.RuntimeServiceClient) {
	t.Helper()
	dir := t.TempDir()
	runtime, between := filepath.Join(dir, "crio.sock"), filepath.Join(dir, "between.sock")
	listener, err := net.Listen("unix", runtime)
	require.NoError(t, err)
	server := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(server, versioned{})
	go server.Serve(listener) //nolint:errcheck // It ends with Stop.
	t.Cleanup(server.Stop)
	cri, err := fault.ServeCRI(between, runtime)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cri.Close()) })
	conn, err := grpc.NewClient("unix://"+between, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return cri, runtimeapi.NewRuntimeServiceClient(conn)
}

func TestCallsOverCRIPassUntilTheyAreSpoiled(t *testing.T) {
	t.Parallel()
	cri, client := newCRI(t)
	ask := func() (string, error) {
		answer, err := client.Version(t.Context(), &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
		return answer.GetRuntimeVersion(), err
	}
	version, err := ask()
	require.NoError(t, err)
	assert.Equal(t, "1.36.3", version)
	_, err = client.Status(t.Context(), &runtimeapi.StatusRequest{})
	assert.Equal(t, codes.Unimplemented, status.Code(err), "errors pass as they are")

	undo := cri.Spoil("Version", func(context.Context, fault.Pass) ([]byte, error) {
		return nil, status.Error(codes.ResourceExhausted, "no room")
	})
	_, err = ask()
	require.ErrorContains(t, err, "no room")
	undo()

	answer := make(chan error, 1)
	undo = cri.Spoil("Version", func(ctx context.Context, pass fault.Pass) ([]byte, error) {
		_, err := pass(ctx)
		answer <- err
		cri.Cut()
		return nil, err
	})
	_, err = client.Version(t.Context(), &runtimeapi.VersionRequest{})
	require.NoError(t, <-answer, "the runtime has answered")
	assert.Equal(t, codes.Unavailable, status.Code(err), "the connection ends before the answer")
	undo()
	version, err = ask()
	require.NoError(t, err)
	assert.Equal(t, "1.36.3", version)
}
