// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/agentrpm"
)

// containerfile parses one of our files into its only stage; any remark of the linter fails the
// test.
func containerfile(t *testing.T, name string) instructions.Stage {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../../containerfiles", name))
	require.NoError(t, err)
	stages, err := parse(t, string(content))
	require.NoError(t, err)
	require.Len(t, stages, 1)
	return stages[0]
}

func parse(t *testing.T, content string) ([]instructions.Stage, error) {
	t.Helper()
	result, err := parser.Parse(strings.NewReader(content))
	require.NoError(t, err)
	require.Empty(t, result.Warnings)
	lint := linter.New(&linter.Config{ReturnAsError: true, Warn: func(rule, _, _, message string, _ []parser.Range) { t.Errorf("%s: %s", rule, message) }})
	stages, _, err := instructions.Parse(result.AST, lint)
	return stages, err
}

func commands[T instructions.Command](s instructions.Stage) (found []T) {
	for _, c := range s.Commands {
		if typed, ok := c.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

func TestOurImagesHoldOneProgramAndNoSystem(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]string{"Containerfile.controller": "/usr/bin/kata-controller", "Containerfile.agent": "/" + agentrpm.Agent} {
		stage := containerfile(t, name)
		assert.Equal(t, "scratch", stage.BaseName, name)
		assert.Empty(t, commands[*instructions.RunCommand](stage), "%s: there is nothing to run in it", name)
		copies := commands[*instructions.CopyCommand](stage)
		require.Len(t, copies, 1, name)
		assert.Equal(t, program, copies[0].DestPath)
		assert.Equal(t, "0755", copies[0].Chmod)
		entry := commands[*instructions.EntrypointCommand](stage)
		require.Len(t, entry, 1, name)
		assert.Equal(t, []string{program}, entry[0].CmdLine)
	}
}

func TestTheControllerIsNotRoot(t *testing.T) {
	t.Parallel()
	users := commands[*instructions.UserCommand](containerfile(t, "Containerfile.controller"))
	require.Len(t, users, 1)
	assert.Equal(t, "65532:65532", users[0].User)
}

func TestTheLayeredSystemInstallsTheRPMAndCommits(t *testing.T) {
	t.Parallel()
	stage := containerfile(t, "Containerfile.layered")
	assert.Equal(t, "${BASE}", stage.BaseName)
	runs := commands[*instructions.RunCommand](stage)
	require.Len(t, runs, 1)
	line := strings.Join(runs[0].CmdLine, " ")
	assert.Contains(t, line, "rpm-ostree install /tmp/kata-agent/kata-node-agent-*.rpm")
	assert.True(t, strings.HasSuffix(line, "ostree container commit"), line)
	copies := commands[*instructions.CopyCommand](stage)
	require.Len(t, copies, 1)
	matched, err := filepath.Match(copies[0].SourcePaths[0], filepath.Base(pack(t)))
	require.NoError(t, err)
	assert.True(t, matched, "the pattern finds what make rpm builds")
}

func TestImagesAreTheSameBytesEachTimeTheyAreBuilt(t *testing.T) {
	t.Parallel()
	need(t, "make", "buildah")
	if os.Geteuid() != 0 {
		t.Skip("building images without user namespaces needs root")
	}
	one, other := images(t), images(t)
	require.Len(t, one, 2, "controller and agent")
	assert.Equal(t, one, other)
}

// images builds both images around a small program and returns their digests.
func images(t *testing.T) (digests []string) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"kata-controller", "kata-node-agent"} {
		output(t, "cp", "/bin/true", filepath.Join(bin, name))
	}
	for line := range strings.Lines(output(t, "make", "--silent", "--no-print-directory", "-C", "../../..", "images", "BIN="+bin, "IMAGE_DIR="+t.TempDir())) {
		_, digest, _ := strings.Cut(strings.TrimSpace(line), " ")
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", digest)
		digests = append(digests, digest)
	}
	return digests
}
