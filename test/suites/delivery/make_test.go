// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/machine"
)

func TestMakeInstallsWhatTestNodesNeed(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../../Makefile")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^PACKAGES := (.*)$`).FindStringSubmatch(string(makefile))
	require.Len(t, line, 2)
	for tool, pkg := range machine.Tools() {
		assert.Contains(t, strings.Fields(line[1]), pkg, "it has %s", tool)
	}
}

func TestMakeAloneListsEveryCommand(t *testing.T) {
	t.Parallel()
	need(t, "make")
	help := output(t, "make", "--no-print-directory", "-C", "../../..")
	for _, command := range []string{"build", "test", "lint", "generate", "verify", "payload", "test-payload", "demo", "e2e", "e2e-kata", "soak", "rpm", "machineconfig", "images"} {
		assert.Regexp(t, "(?m)^  make "+command+" +[A-Z]", help)
	}
}

func TestAMachineConfigWithoutADigestIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	need(t, "make")
	out := makeFails(t, "machineconfig", "AGENT_IMAGE=registry.example/agent:latest")
	assert.Contains(t, out, `AGENT_IMAGE "registry.example/agent:latest" is not registry/repository@sha256:`)
}

func TestARealKataNeedsADirectory(t *testing.T) {
	t.Parallel()
	need(t, "make")
	out := makeFails(t, "e2e-kata")
	assert.Contains(t, out, "make e2e-kata needs KATA=DIRECTORY with a release of Kata")
}

// makeFails runs make and returns what it says, without make's own last line.
func makeFails(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"--silent", "--no-print-directory", "-C", "../../.."}, args...)...)
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "%s", out)
	return string(out)
}
