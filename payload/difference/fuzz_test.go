// SPDX-License-Identifier: Apache-2.0

package difference_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/payload/difference"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Tables of contents come from registries.
func FuzzBetween(f *testing.F) {
	f.Add([]byte(`{"version":1,"entries":[{"type":"reg","name":"a","size":9,"digest":"x","offset":1,"endOffset":50,"chunkSize":4,"chunkDigest":"y"},{"type":"chunk","name":"a","offset":20,"chunkSize":5,"chunkDigest":"z"}]}`), []byte(`{"version":1,"entries":[]}`))
	f.Add([]byte(`{"version":1,"entries":[{"type":"chunk","chunkSize":5},{"type":"reg","size":5,"chunkType":"zeros"}]}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, from, to []byte) {
		image := func(contents []byte, digest string) difference.Image {
			return difference.Image{
				Manifest: manifest.Manifest{Components: []manifest.Component{}},
				Layers:   []difference.Layer{{Component: "manifest", Digest: digest, Size: 100, Contents: contents, Described: 10}},
			}
		}
		d, err := difference.Between(image(from, "a"), image(to, "b"))
		if err != nil {
			return
		}
		assert.GreaterOrEqual(t, d.Total.Fetched, int64(0))
		assert.GreaterOrEqual(t, d.Total.WithoutClones, d.Total.Fetched)
		assert.GreaterOrEqual(t, d.Total.WrittenWhole, int64(0))
	})
}
