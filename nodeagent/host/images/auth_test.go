// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/images"
)

func TestCredentialsThatComeLateAreUsed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := images.Below(root, host.StoreDir, host.StoreRunDir, "/config.json")
	assert.Empty(t, store.AuthFile())
	require.NoError(t, os.WriteFile(filepath.Join(root, "config.json"), []byte("{}"), 0o600))
	assert.Equal(t, filepath.Join(root, "config.json"), store.AuthFile())
}
