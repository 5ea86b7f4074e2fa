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
func endVM(t *testing.T, id string) {
	t.Helper()
	bundle, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", requireShim(t, id)))
	require.NoError(t, err)
	address, err := os.ReadFile(filepath.Join(bundle, "address"))
	require.NoError(t, err)
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", strings.TrimPrefix(string(address), "unix://"))
	require.NoError(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	_, err = taskapi.NewTTRPCTaskClient(client).Kill(t.Context(), &taskapi.KillRequest{ID: id, Signal: uint32(syscall.SIGKILL)})
	require.NoError(t, err)
}
