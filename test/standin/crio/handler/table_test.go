// SPDX-License-Identifier: Apache-2.0

package handler_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/standin/crio/config"
	"github.com/kata-node/kata-node/test/standin/crio/handler"
)

const featuresDocument = `{"ociVersionMin": "1.0.0", "ociVersionMax": "1.1.0", "mountOptions": ["ro", "rro"],
"linux": {"mountExtensions": {"idmap": {"enabled": true}}}}`

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// program writes a runtime that knows its features.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	script := "#!/bin/sh\n[ \"$1\" = features ] && cat <<'E'\n" + featuresDocument + "\nE\nexit 0\n"
	require.NoError(t, os.WriteFile(path, []byte(script), 0o600))
	require.NoError(t, os.Chmod(path, 0o700))
	return path
}

func runtimes(fallback string, handlers map[string]*config.Handler) config.Runtime {
	return config.Runtime{DefaultRuntime: fallback, Runtimes: handlers}
}

func names(table *handler.Table) []string {
	var found []string
	for _, h := range table.Shown() {
		found = append(found, h.Name)
	}
	return found
}

func TestStatusFollowsAReloadAndTheRunTableDoesNot(t *testing.T) {
	t.Parallel()
	shim, runc := program(t, "containerd-shim-kata-v2"), program(t, "runc")
	table, err := handler.New(t.Context(), runtimes("runc", map[string]*config.Handler{"runc": {RuntimePath: runc}}), quiet())
	require.NoError(t, err)
	assert.Equal(t, []string{"", "runc"}, names(table))

	require.NoError(t, table.Reload(t.Context(), runtimes("runc", map[string]*config.Handler{
		"runc": {RuntimePath: runc}, "kata": {RuntimePath: shim, RuntimeType: config.TypeVM},
	})))
	assert.Equal(t, []string{"", "kata", "runc"}, names(table))
	_, err = table.Find("kata")
	require.ErrorContains(t, err, "failed to find runtime handler kata from runtime list map[runc:")

	require.NoError(t, table.Reload(t.Context(), runtimes("other", map[string]*config.Handler{"other": {RuntimePath: shim}})))
	assert.Equal(t, []string{"", "other"}, names(table))
	found, err := table.Find("")
	require.NoError(t, err)
	assert.Equal(t, runc, found.RuntimePath, "the default that runs is the one of the start")
}

func TestAFailedReloadLeavesTheNewTableUnvalidated(t *testing.T) {
	t.Parallel()
	runc := program(t, "runc")
	table, err := handler.New(t.Context(), runtimes("runc", map[string]*config.Handler{"runc": {RuntimePath: runc}}), quiet())
	require.NoError(t, err)
	err = table.Reload(t.Context(), runtimes("nobody", map[string]*config.Handler{"lost": {RuntimePath: "/nowhere"}}))
	require.ErrorContains(t, err, `default_runtime set to "nobody"`)
	assert.Equal(t, []string{"lost"}, names(table))
}

func TestAnInvalidDefaultRefusesTheStart(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]config.Runtime{
		"no runtime entry table":   runtimes("x", map[string]*config.Handler{}),
		"invalid runtime_path":     runtimes("x", map[string]*config.Handler{"x": {RuntimePath: "/nowhere"}}),
		"invalid `runtime_type`":   runtimes("x", map[string]*config.Handler{"x": {RuntimeType: "odd"}}),
		"not found in $PATH":       runtimes("no-such-program", map[string]*config.Handler{"no-such-program": {}}),
		"only be used with the":    runtimes("x", map[string]*config.Handler{"x": {RuntimePath: "/bin/sh", RuntimeConfigPath: "/x"}}),
		"no sync log":              runtimes("x", map[string]*config.Handler{"x": {RuntimePath: "/bin/sh", RuntimeType: "pod", NoSyncLog: true}}),
		"websocket streaming":      runtimes("x", map[string]*config.Handler{"x": {RuntimePath: "/bin/sh", StreamWebsockets: true}}),
		"invalid allowed_annotati": runtimes("x", map[string]*config.Handler{"x": {RuntimePath: "/bin/sh", AllowedAnnotations: []string{"y"}}}),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, err := handler.New(t.Context(), c, quiet())
			assert.ErrorContains(t, err, want)
		})
	}
}

func TestAHandlerMayInheritTheDefaults(t *testing.T) {
	t.Parallel()
	runc := program(t, "runc")
	table, err := handler.New(t.Context(), runtimes("runc", map[string]*config.Handler{
		"runc": {RuntimePath: runc, RuntimeRoot: "/run/runc"}, "heir": {InheritDefaultRuntime: true},
	}), quiet())
	require.NoError(t, err)
	heir, err := table.Find("heir")
	require.NoError(t, err)
	assert.Equal(t, runc, heir.RuntimePath)
	assert.Equal(t, "/run/runc", heir.RuntimeRoot)
}

func TestFeaturesComeFromTheBinary(t *testing.T) {
	t.Parallel()
	table, err := handler.New(t.Context(), runtimes("runc", map[string]*config.Handler{
		"runc": {RuntimePath: program(t, "runc")}, "silent": {RuntimePath: "/bin/false"},
	}), quiet())
	require.NoError(t, err)
	all := handler.Features{RecursiveReadOnlyMounts: true, UserNamespaces: true}
	assert.Equal(t, []handler.Shown{{Features: all}, {Name: "runc", Features: all}, {Name: "silent"}}, table.Shown())
}
