// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pauseImage serves an image of one file from a registry of its own: a real CRI-O pulls it for
// every sandbox.
func pauseImage(tb testing.TB) string {
	tb.Helper()
	layer := pauseLayer(tb)
	config := mustJSON(tb, map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := mustJSON(tb, map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	blobs := map[string][]byte{digest(layer): layer, digest(config): config}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := filepath.Base(r.URL.Path)
		switch blob, ok := blobs[base]; {
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = w.Write(manifest) //nolint:errcheck // the client notices
		case ok:
			_, _ = w.Write(blob) //nolint:errcheck // the client notices
		case r.URL.Path != "/v2/":
			http.NotFound(w, r)
		}
	}))
	tb.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/pause:1"
}

func pauseLayer(tb testing.TB) []byte {
	tb.Helper()
	program, err := os.ReadFile(filepath.Join(built.dir, "pause-bin"))
	require.NoError(tb, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	require.NoError(tb, w.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(program))}))
	_, err = w.Write(program)
	require.NoError(tb, err)
	require.NoError(tb, w.Close())
	return layer.Bytes()
}

func descriptor(mediaType string, blob []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(blob), "size": len(blob)}
}

func digest(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func mustJSON(tb testing.TB, value any) []byte {
	tb.Helper()
	data, err := json.Marshal(value)
	require.NoError(tb, err)
	return data
}
