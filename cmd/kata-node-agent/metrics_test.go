// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/settings"
)

// shortDir is a directory whose name leaves room in the 107 bytes of a socket's path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "k") //nolint:usetesting // its names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// scrapeAt reads the metrics at a socket or an address.
func scrapeAt(t *testing.T, network, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent/metrics", http.NoBody)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	return string(body)
}

func TestMetricsAreServedAtASocketForRoot(t *testing.T) {
	t.Parallel()
	root := shortDir(t)
	socket := filepath.Join(root, host.MetricsSocket)
	require.NoError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	require.NoError(t, os.WriteFile(socket, nil, 0o600), "what an agent left that was killed")
	log, hook := test.NewNullLogger()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := measure(ctx, &wiring{tree: files.Below(root)}, log)
	require.NoError(t, err)
	info, err := os.Stat(socket)
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSocket|socketMode, info.Mode())
	text := scrapeAt(t, "unix", socket)
	assert.Contains(t, text, `kata_node_agent_build_info{version="unreleased"} 1`)
	assert.Contains(t, text, "process_resident_memory_bytes")
	assert.Empty(t, hook.AllEntries())
}

func TestMetricsAreServedAtAnAddressWhereASettingNamesOne(t *testing.T) {
	t.Parallel()
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	root := shortDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(root, "run"), nil, 0o600))
	log, hook := test.NewNullLogger()
	_, err = measure(t.Context(), &wiring{tree: files.Below(root), settings: settings.Settings{MetricsAddress: address}}, log)
	require.NoError(t, err)
	assert.Contains(t, scrapeAt(t, "tcp", address), "kata_node_agent_crio_restarts_total 0")
	require.Len(t, hook.AllEntries(), 1, "the socket has no directory, and the address is served all the same")
	assert.Equal(t, logrus.WarnLevel, hook.LastEntry().Level)
}
