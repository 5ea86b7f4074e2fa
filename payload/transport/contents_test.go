// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/transport"
)

func TestADocumentThatIsTooLargeIsCalledTooLarge(t *testing.T) {
	t.Parallel()
	document := bytes.Repeat([]byte(" "), manifest.MaxSize+100)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifest.Path, Size: int64(len(document)), Mode: 0o644}))
	_, err := w.Write(document)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	require.NoError(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	image, err = mutate.Config(image, v1.Config{Labels: map[string]string{manifest.Label: manifest.Digest(document)}})
	require.NoError(t, err)
	_, _, err = transport.Manifest(image)
	require.ErrorContains(t, err, "is too large: more than 16777216 bytes")
}
