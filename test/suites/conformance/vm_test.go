// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
)

// endVM makes the sandbox end as if its VM had powered off, past CRI-O.
func endVM(tb testing.TB, id string) {
	tb.Helper()
	bundle, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", requireShim(tb, id)))
	require.NoError(tb, err)
	address, err := os.ReadFile(filepath.Join(bundle, "address"))
	require.NoError(tb, err)
	var dialer net.Dialer
	conn, err := dialer.DialContext(tb.Context(), "unix", strings.TrimPrefix(string(address), "unix://"))
	require.NoError(tb, err)
	client := ttrpc.NewClient(conn)
	defer client.Close() //nolint:errcheck // nothing is lost with it
	shim := taskapi.NewTTRPCTaskClient(client)
	_, err = shim.Kill(tb.Context(), &taskapi.KillRequest{ID: id, Signal: uint32(syscall.SIGKILL)})
	require.NoError(tb, err)
	_, err = shim.Wait(tb.Context(), &taskapi.WaitRequest{ID: id})
	require.NoError(tb, err)
}
