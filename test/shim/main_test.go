// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func build(t *testing.T, ldflags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "containerd-shim-kata-v2")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags="+ldflags, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	return path
}

func TestTheCommandLineIsTheShims(t *testing.T) {
	t.Parallel()
	shim := build(t, "-X main.version=1.2.3")
	for name, tc := range map[string]struct {
		args []string
		want string
		ok   bool
	}{
		"version":       {args: []string{"--version"}, want: "version: 1.2.3", ok: true},
		"features":      {args: []string{"features"}, want: "shim namespace cannot be empty"},
		"no id":         {args: []string{"-namespace", "default", "start"}, want: "shim id cannot be empty"},
		"odd action":    {args: []string{"-namespace", "default", "-id", "x", "-debug", "stop"}, want: `unknown action "stop"`},
		"delete":        {args: []string{"-namespace", "default", "-id", "x", "delete"}, ok: true},
		"empty bundle":  {args: []string{"-namespace", "default", "-address", "", "-publish-binary", "/x", "-id", "x", "start"}, want: "reading bundle"},
		"unknown flags": {args: []string{"-no-such-flag"}, want: "no-such-flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), shim, tc.args...)
			cmd.Dir = t.TempDir()
			output, err := cmd.CombinedOutput()
			assert.Equal(t, tc.ok, err == nil, string(output))
			assert.Contains(t, string(output), tc.want)
		})
	}
}

func TestABrokenVariantFailsAtStartWithItsSentence(t *testing.T) {
	t.Parallel()
	shim := build(t, "-X 'main.fail=the guest image is missing'")
	output, err := exec.CommandContext(t.Context(), shim, "-namespace", "default", "-id", "x", "start").CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, "the guest image is missing\n", string(output))
	assert.NoError(t, exec.CommandContext(t.Context(), shim, "--version").Run())
}
