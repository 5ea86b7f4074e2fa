// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The adapter's own test needs a systemd to itself, and is skipped where there is none.
func TestTheAdapterOfSystemdConformsOnANode(t *testing.T) {
	t.Parallel()
	onNode := []string{"TestTheManagerConforms", "TestAJobThatNeverEndsIsGivenUp"}
	m := node(t, "conformance")
	program := filepath.Join(t.TempDir(), "systemd.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", program, "./nodeagent/host/systemd")
	build.Dir, build.Env = "../../..", append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, m.WriteFile("/opt/systemd.test", content, 0o755))
	require.NoError(t, m.Boot(t.Context()))
	_, err = m.AwaitRunning(t.Context())
	require.NoError(t, err)

	said, err := m.Exec(t.Context(), "/opt/systemd.test", "-test.v", "-test.run", "^("+strings.Join(onNode, "|")+")$")
	require.NoError(t, err, "%s", said)
	for _, name := range onNode {
		assert.Contains(t, string(said), "--- PASS: "+name)
	}
}
