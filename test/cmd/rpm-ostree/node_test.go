// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/ostree"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// built is the program, built once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rpm-ostree-test-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "rpm-ostree")
	out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput()
	if err != nil {
		err = errors.New(string(out))
	}
	return name, err
})

// TestMain deletes what was built.
func TestMain(m *testing.M) {
	code := m.Run()
	if name, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(name)) //nolint:errcheck // a temporary directory
	}
	os.Exit(code)
}

// node is a system of the stand-in, and the agent's adapter for it.
type node struct {
	*ostree.System
	root string
}

const hold = "run/rpm-ostree-hold"

func newNode(t *testing.T) node {
	t.Helper()
	program, err := built()
	require.NoError(t, err)
	root := t.TempDir()
	n := node{ostree.Below(root), root}
	n.put(t, "run/ostree-booted", "")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "ostree/deploy"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755))
	// A copy could be open for writing in a process that another test has just started: ETXTBSY.
	require.NoError(t, os.Link(program, filepath.Join(root, "usr/bin/rpm-ostree")))
	return n
}

func (n node) put(t *testing.T, place, content string) {
	t.Helper()
	file := filepath.Join(n.root, place)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
}

func (n node) delete(t *testing.T, place string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(n.root, place)))
}

func (n node) command(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(n.root, "usr/bin/rpm-ostree"), args...) //nolint:gosec // the stand-in
}

func (n node) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := n.command(args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// code is the exit code of a call.
func (n node) code(t *testing.T, args ...string) int {
	t.Helper()
	c := n.command(args...)
	_ = c.Run() //nolint:errcheck // the code says it
	return c.ProcessState.ExitCode()
}

// rpm writes what stands for a package with one file.
func (n node) rpm(t *testing.T, nevra, file string) string {
	t.Helper()
	parts := strings.Split(nevra, "-")
	content, err := json.Marshal(map[string]any{"name": strings.Join(parts[:len(parts)-2], "-"), "nevra": nevra, "files": map[string]string{file: nevra}})
	require.NoError(t, err)
	n.put(t, "rpms/"+nevra+".rpm", string(content))
	return filepath.Join(n.root, "rpms", nevra+".rpm")
}

// now is the status as the agent sees it, asked for anew.
func (n node) now(t *testing.T) host.OSTree {
	t.Helper()
	s, err := ostree.Below(n.root).Status(t.Context())
	require.NoError(t, err)
	return s
}

func (n node) refused(t *testing.T, class host.OstreeClass, says string, err error) {
	t.Helper()
	require.ErrorContains(t, err, says)
	answer, ok := errors.AsType[*host.OstreeError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, class, answer.Class, says)
}

func next(t *testing.T, s host.OSTree) host.Deployment {
	t.Helper()
	d, found := s.Next()
	require.True(t, found)
	return d
}
