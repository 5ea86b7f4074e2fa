// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/standin/crio/config"
)

// tree writes files into a new directory whose crio.conf and conf.d are the source.
func tree(t *testing.T, files map[string]string) config.Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return config.Source{File: filepath.Join(dir, "crio.conf"), Dir: filepath.Join(dir, "conf.d")}
}

func TestNothingToReadGivesTheDefaults(t *testing.T) {
	t.Parallel()
	source := tree(t, nil)
	c, err := source.Read()
	require.NoError(t, err)
	assert.Equal(t, config.Default(), c)

	source.Required = true
	_, err = source.Read()
	assert.ErrorContains(t, err, "crio.conf")
}

func TestLaterFilesWinAndReplaceWholeHandlers(t *testing.T) {
	t.Parallel()
	c, err := tree(t, map[string]string{
		"crio.conf":      "[crio.runtime]\ndefault_runtime = \"a\"\nlog_level = \"debug\"\n",
		"conf.d/50-a":    "[crio.runtime.runtimes.x]\nruntime_path = \"/one\"\nruntime_type = \"vm\"\n",
		"conf.d/60/deep": "[crio.runtime.runtimes.x]\nruntime_path = \"/two\"\n",
		"conf.d/99":      "[crio.runtime]\ndefault_runtime = \"b\"\n",
	}).Read()
	require.NoError(t, err)
	assert.Equal(t, "b", c.Crio.Runtime.DefaultRuntime)
	assert.Equal(t, "debug", c.Crio.Runtime.LogLevel)
	assert.Equal(t, &config.Handler{RuntimePath: "/two"}, c.Crio.Runtime.Runtimes["x"])
	assert.Contains(t, c.Crio.Runtime.Runtimes, "crun", "the built-in handler stays")
}

func TestAMistakeNamesItsFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"bad TOML":           "[crio",
		"wrong scalar":       "[crio.runtime]\nlog_level = 1\n",
		"wrong handler type": "[crio.runtime.runtimes.kata]\nprivileged_without_host_devices = \"yes\"\n",
		"wrong array":        "[crio.runtime.runtimes.kata]\nallowed_annotations = \"x\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tree(t, map[string]string{"conf.d/.70-x.swp": content}).Read()
			assert.ErrorContains(t, err, ".70-x.swp")
		})
	}
}

func TestADanglingLinkIsAnErrorAndALinkToAFileIsRead(t *testing.T) {
	t.Parallel()
	source := tree(t, map[string]string{"elsewhere": "[crio.runtime]\ndefault_runtime = \"linked\"\n", "conf.d/10": ""})
	link := filepath.Join(source.Dir, "20")
	require.NoError(t, os.Symlink("../elsewhere", link))
	c, err := source.Read()
	require.NoError(t, err)
	assert.Equal(t, "linked", c.Crio.Runtime.DefaultRuntime)

	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(source.Dir), "elsewhere")))
	_, err = source.Read()
	assert.ErrorContains(t, err, link)
}
