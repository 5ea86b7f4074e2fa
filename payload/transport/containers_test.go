// SPDX-License-Identifier: Apache-2.0

//go:build containers_image_openpgp

package transport_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/directory"
	imagemanifest "go.podman.io/image/v5/manifest"
	ocilayout "go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

// The agent pulls with containers/image; what it makes of our names and bytes is what counts.
func TestContainersImageReadsTheLayout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := payload(t, "1.0.0")
	push(t, p, "oci:"+dir+":v1")
	push(t, payload(t, "2.0.0"), "oci:"+dir+":v2")

	copied := filepath.Join(t.TempDir(), "copied")
	source, err := ocilayout.ParseReference(dir + ":v1")
	require.NoError(t, err)
	destination, err := directory.NewReference(copied)
	require.NoError(t, err)
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: []signature.PolicyRequirement{signature.NewPRInsecureAcceptAnything()}})
	require.NoError(t, err)
	raw, err := copy.Image(t.Context(), policy, destination, source, &copy.Options{
		PreserveDigests: true,
		SourceCtx:       &types.SystemContext{BigFilesTemporaryDir: t.TempDir()},
		DestinationCtx:  &types.SystemContext{BlobInfoCacheDir: t.TempDir()},
	})
	require.NoError(t, err)
	digest, err := imagemanifest.Digest(raw)
	require.NoError(t, err)
	assert.Equal(t, p.Digest, digest.String())
	blobs, err := os.ReadDir(copied)
	require.NoError(t, err)
	assert.Len(t, blobs, len(p.Layers)+3, "the layers, the configuration, the manifest, the version of the format")
}
