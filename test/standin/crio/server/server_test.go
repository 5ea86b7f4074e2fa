// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/crio/config"
	"github.com/kata-node/kata-node/test/standin/crio/fault"
	"github.com/kata-node/kata-node/test/standin/crio/handler"
	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
	"github.com/kata-node/kata-node/test/standin/crio/server"
)

var errNoNetwork = errors.New("no such pod")

// onlyKnown gives network to the pod called "known" alone.
type onlyKnown struct{}

func (onlyKnown) Ready() error { return nil }

func (onlyKnown) Attach(_ context.Context, _, name, _ string) error {
	if name == "known" {
		return nil
	}
	return errNoNetwork
}

// newServer has one handler, which is the default and needs no shim.
func newServer(t *testing.T, dir string) *server.Server {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	table, err := handler.New(t.Context(), config.Runtime{
		DefaultRuntime: "plain", Runtimes: map[string]*config.Handler{"plain": {RuntimePath: "/bin/true"}},
	}, log)
	require.NoError(t, err)
	store, err := sandbox.Open(filepath.Join(dir, "sandboxes"), filepath.Join(dir, "bundles"))
	require.NoError(t, err)
	return server.New(t.Context(), server.Parts{
		Handlers: table, Store: store, Network: onlyKnown{}, Faults: fault.Dir(dir), LogDir: filepath.Join(dir, "logs"), DropInfra: true, Log: log,
	})
}

func request(name string) *runtimeapi.RunPodSandboxRequest {
	return &runtimeapi.RunPodSandboxRequest{Config: &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: "ns", Uid: "1"},
	}}
}

func TestOnlyARealPodGetsAPodNetworkSandbox(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir())
	_, err := s.RunPodSandbox(t.Context(), request("proof"))
	require.ErrorIs(t, err, errNoNetwork)
	require.ErrorContains(t, err, "failed to create pod network sandbox k8s_proof_ns_1_0(")

	response, err := s.RunPodSandbox(t.Context(), request("known"))
	require.NoError(t, err)
	status, err := s.PodSandboxStatus(t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: response.GetPodSandboxId()})
	require.NoError(t, err)
	assert.Equal(t, runtimeapi.NamespaceMode_POD, status.GetStatus().GetLinux().GetNamespaces().GetOptions().GetNetwork())
}

func TestRecordsAreThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	response, err := newServer(t, dir).RunPodSandbox(t.Context(), request("known"))
	require.NoError(t, err)

	again := newServer(t, dir)
	_, err = again.StopPodSandbox(t.Context(), &runtimeapi.StopPodSandboxRequest{PodSandboxId: response.GetPodSandboxId()})
	require.NoError(t, err)
	_, err = again.RemovePodSandbox(t.Context(), &runtimeapi.RemovePodSandboxRequest{PodSandboxId: response.GetPodSandboxId()})
	require.NoError(t, err)
	list, err := newServer(t, dir).ListPodSandbox(t.Context(), &runtimeapi.ListPodSandboxRequest{})
	require.NoError(t, err)
	assert.Empty(t, list.GetItems())
}

func TestASandboxUnderWayReservesItsName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newServer(t, dir)
	path := filepath.Join(dir, fault.StallRun)
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	first := make(chan error, 1)
	go func() {
		_, err := s.RunPodSandbox(t.Context(), request("known"))
		first <- err
	}()
	hold, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	_, err = s.RunPodSandbox(t.Context(), request("known"))
	require.ErrorContains(t, err, "it is being created")
	require.NoError(t, hold.Close())
	require.NoError(t, <-first)
	_, err = s.RunPodSandbox(t.Context(), request("known"))
	assert.NoError(t, err)
}

func TestAnEmptyIDIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir())
	_, err := s.StopPodSandbox(t.Context(), &runtimeapi.StopPodSandboxRequest{})
	require.Error(t, err)
	_, err = s.RemovePodSandbox(t.Context(), &runtimeapi.RemovePodSandboxRequest{})
	assert.Error(t, err)
}
