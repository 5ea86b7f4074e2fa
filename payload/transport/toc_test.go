// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/transport"
)

const position = "io.github.containers.zstd-chunked.manifest-position"

// layer returns the layer of an image that has files.
func layer(t *testing.T, opened *transport.Opened) v1.Descriptor {
	t.Helper()
	m, err := opened.Images[0].Manifest()
	require.NoError(t, err)
	return m.Layers[0]
}

// names are those in a table of contents.
func names(t *testing.T, c transport.Contents) (all []string) {
	t.Helper()
	var table struct {
		Entries []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal(c.Document, &table))
	for _, e := range table.Entries {
		all = append(all, e.Name)
	}
	return all
}

func TestTheTableOfContentsIsReadFromEveryPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parts := map[string]func(w http.ResponseWriter, r *http.Request, blob string){
		"parts": func(w http.ResponseWriter, r *http.Request, blob string) { http.ServeFile(w, r, blob) },
		"the whole blob": func(w http.ResponseWriter, r *http.Request, blob string) {
			r.Header.Del("Range")
			http.ServeFile(w, r, blob)
		},
		"no parts": func(w http.ResponseWriter, r *http.Request, blob string) {
			if r.Header.Get("Range") != "" {
				http.Error(w, "no such thing", http.StatusNotImplemented)
				return
			}
			http.ServeFile(w, r, blob)
		},
	}
	place := "oci:" + dir + ":v1"
	_, err := transport.Push(t.Context(), payloadOf(t, "1.0.0", "amd64", assemble.ZstdChunked).Image, target(t, place), options(t))
	require.NoError(t, err)
	archive := "oci-archive:" + filepath.Join(t.TempDir(), "payload.tar") + ":v1"
	_, err = transport.Copy(t.Context(), target(t, place), target(t, archive), options(t))
	require.NoError(t, err)
	places := map[string]string{"a layout": place, "an archive": archive}
	var ranges atomic.Int64
	for name, serves := range parts {
		host := serve(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) bool {
			_, digest, isBlob := strings.Cut(r.URL.Path, "/blobs/sha256:")
			if !isBlob || r.Method != http.MethodGet {
				return false
			}
			if r.Header.Get("Range") != "" {
				ranges.Add(1)
			}
			serves(w, r, filepath.Join(dir, "blobs/sha256", digest))
			return true
		})
		places[name] = "docker://" + host + "/kata/payload:v1"
		_, err := transport.Copy(t.Context(), target(t, place), target(t, places[name]), options(t))
		require.NoError(t, err)
	}
	for name, place := range places {
		opened := openTarget(t, target(t, place))
		c, err := opened.Contents(t.Context(), layer(t, opened))
		require.NoError(t, err, name)
		assert.Contains(t, names(t, c), shim, name)
		assert.Positive(t, c.Transferred, name)
	}
	assert.GreaterOrEqual(t, ranges.Load(), int64(3))
}

func TestALayerOfGzipHasNoTableOfContents(t *testing.T) {
	t.Parallel()
	place := target(t, "oci:"+t.TempDir()+":v1")
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, place, options(t))
	require.NoError(t, err)
	opened := openTarget(t, place)
	c, err := opened.Contents(t.Context(), layer(t, opened))
	require.NoError(t, err)
	assert.Equal(t, transport.Contents{}, c)
}

func TestATableOfContentsThatIsNotTheImagesIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place := target(t, "oci:"+dir+":v1")
	_, err := transport.Push(t.Context(), payloadOf(t, "1.0.0", "amd64", assemble.ZstdChunked).Image, place, options(t))
	require.NoError(t, err)
	opened := openTarget(t, place)
	good := layer(t, opened)
	for at, problem := range map[string]string{
		"nonsense":                   "annotation " + position,
		"1:99999999:5:1":             "annotations place it at 1:99999999:5:1 in a layer of",
		"99999999:1:5:1":             "at most 67108864 are read",
		"1:5:99999999999:1":          "at most 67108864 are read",
		"18446744073709551615:5:5:1": "at most 67108864 are read",
		"1:5:5:1":                    "its digest is sha256:",
	} {
		bad := good
		bad.Annotations = map[string]string{position: at, "io.github.containers.zstd-chunked.manifest-checksum": good.Annotations["io.github.containers.zstd-chunked.manifest-checksum"]}
		_, err := opened.Contents(t.Context(), bad)
		require.ErrorContains(t, err, problem, at)
		require.ErrorContains(t, err, "reading table of contents of layer "+good.Digest.String())
	}
	blob := filepath.Join(dir, "blobs/sha256", good.Digest.Hex)
	require.NoError(t, os.Truncate(blob, 100))
	_, err = opened.Contents(t.Context(), good)
	require.ErrorContains(t, err, "unexpected EOF")
}
