// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestTheConfigurationIsDecodedByTheProgramThatTheUnitStarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		argv []string
		want []string
	}{
		"plain":           {[]string{"/usr/bin/crio", "$CRIO_CONFIG_OPTIONS"}, []string{"/usr/bin/crio", "config"}},
		"other places":    {[]string{"/usr/bin/crio", "--config", "/a", "-d=/b", "--log-level", "debug"}, []string{"/usr/bin/crio", "--config", "/a", "-d=/b", "config"}},
		"an option's end": {[]string{"/usr/bin/crio", "--config"}, []string{"/usr/bin/crio", "config"}},
	} {
		assert.Equal(t, c.want, systemd.ConfigCommand([][]any{{c.argv[0], c.argv, false}}), name)
	}
	assert.Nil(t, systemd.ConfigCommand([][]any{{"/usr/bin/containerd", []string{"/usr/bin/containerd"}}}))
	assert.Nil(t, systemd.ConfigCommand([][]any{}))
	assert.Nil(t, systemd.ConfigCommand("x"))
}

func TestWhatTheProgramSaysOfItsConfiguration(t *testing.T) {
	t.Parallel()
	program := func(script string) []string {
		file := filepath.Join(t.TempDir(), "crio")
		require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700))
		return []string{file, "config"}
	}
	require.NoError(t, systemd.Decode(t.Context(), program("exit 0")))
	require.NoError(t, systemd.Decode(t.Context(), []string{"/nowhere/crio", "config"}), "a program that is not there is not judged")
	err := systemd.Decode(t.Context(), program("echo first >&2; echo 'toml: line 3: .half' >&2; exit 1"))
	require.ErrorContains(t, err, "exit status 1: toml: line 3: .half")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, systemd.Decode(ctx, program("sleep 60")), context.Canceled)
}
