// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
)

func TestTheProgramWorksWithItsServiceAccountAndEndsWhenAsked(t *testing.T) {
	t.Parallel()
	c := start(t)
	programs, err := c.workspace.Build(t.Context(), os.Stderr, bed.BuildOptions{Only: []string{"kata-controller"}})
	require.NoError(t, err)
	config, err := c.ServiceAccount(t.Context(), namespace, account)
	require.NoError(t, err)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, c.WriteKubeconfig(kubeconfig, config))
	address := freeAddress(t)

	var log strings.Builder
	program := exec.CommandContext(t.Context(), programs.Path("kata-controller"), "--kubeconfig", kubeconfig, "--default-payload", payloadA, "--listen", address)
	program.Stdout, program.Stderr = &log, &log
	require.NoError(t, program.Start())
	c.kataConfig(t, "kata", "{}")
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		assert.Contains(t, get(ctx, t, "http://"+address+"/metrics"), `kata_controller_nodes{kataconfig="kata",state="completed"} 1`)
	})
	get(t.Context(), t, "http://"+address+"/healthz")

	require.NoError(t, program.Process.Signal(syscall.SIGTERM))
	require.NoError(t, program.Wait(), log.String())
	assert.Contains(t, log.String(), "KataReady")
}

func TestTheProgramRefusesAPayloadWithoutDigest(t *testing.T) {
	t.Parallel()
	workspace, err := bed.FindWorkspace()
	require.NoError(t, err)
	programs, err := workspace.Build(t.Context(), os.Stderr, bed.BuildOptions{Only: []string{"kata-controller"}})
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), programs.Path("kata-controller"), "--default-payload", "quay.io/kata/payload:1.0").CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, "kata-controller: reading --default-payload: payload \"quay.io/kata/payload:1.0\" is not an image by digest: name it as registry/repository@sha256:digest\n", string(out))
}

// freeAddress is one that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

func get(ctx context.Context, t require.TestingT, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	return string(body)
}
