// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpecsAndProcessesAskForWhatIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, process := filepath.Join(dir, "config.json"), filepath.Join(dir, "process")
	const all, left = `"capabilities":{"bounding":["CAP_KILL","CAP_SYS_RESOURCE"]}`, `"capabilities":{"bounding":["CAP_KILL"]}`
	require.NoError(t, os.WriteFile(config, []byte(`{"ociVersion":"1.3.0","process":{"cwd":"/","oomScoreAdj":-998,`+all+`}}`), 0o600))
	require.NoError(t, os.WriteFile(process, []byte(`{"cwd":"/",`+all+`}`), 0o600))
	taken := []string{"CAP_SYS_RESOURCE"}

	require.NoError(t, lessen([]string{"--root=/run/runc", "create", "--bundle", dir, "id"}, taken))
	require.NoError(t, lessen([]string{"exec", "-d", "--process", process, "id"}, taken))
	require.NoError(t, lessen([]string{"state", "id"}, taken))

	changed, err := os.ReadFile(config)
	require.NoError(t, err)
	assert.JSONEq(t, `{"ociVersion":"1.3.0","process":{"user":{"uid":0,"gid":0},"cwd":"/",`+left+`}}`, string(changed))
	changed, err = os.ReadFile(process)
	require.NoError(t, err)
	assert.JSONEq(t, `{"user":{"uid":0,"gid":0},"cwd":"/",`+left+`}`, string(changed))
}

func TestABundleThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, lessen([]string{"create", "--bundle", "/absent"}, nil), "/absent/config.json")
}
