// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestWhatWasPulledIsListed(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	assert.Empty(t, n.list(t))
	assert.False(t, n.store.Exists(), "looking makes no store")

	p, name := s.publish(t, "1.0.0")
	last := host.Progress{}
	require.NoError(t, n.store.Pull(t.Context(), name, func(now host.Progress) { last = now }))
	assert.Positive(t, last.Done)
	assert.Equal(t, last.Total, last.Done)

	document, err := manifest.Encode(p.Manifest)
	require.NoError(t, err)
	id, err := p.Image.ConfigName()
	require.NoError(t, err)
	assert.Equal(t, []host.Image{{ID: id.Hex, Digests: []string{p.Digest}, Platform: p.Digest, Manifest: manifest.Digest(document), Version: "1.0.0"}}, n.list(t))
	assert.True(t, n.store.Exists())
	assert.Empty(t, n.below(t, host.StoreDir+"/downloads"))
}

func TestWhatIsThereIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	_, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	assert.Len(t, s.fetched(), 4, "three layers and a configuration")
	n.pull(t, one)
	assert.Len(t, s.fetched(), 1, "the configuration, to compare")
	n.pull(t, two)
	assert.Len(t, s.fetched(), 3, "all but the guest, which they share")
	assert.Len(t, n.list(t), 2)
}

func TestATamperedBlobIsRefused(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, p.Layers[0].Digest) {
			return false
		}
		layers, err := p.Image.Layers()
		assert.NoError(t, err)
		blob, err := layers[0].Compressed()
		assert.NoError(t, err)
		content, err := io.ReadAll(blob)
		assert.NoError(t, err)
		content[len(content)/2] ^= 1
		_, err = w.Write(content)
		assert.NoError(t, err)
		return true
	})
	err := n.store.Pull(t.Context(), name, func(host.Progress) {})
	require.ErrorContains(t, err, "pulling payload "+`"`+name+`"`)
	assert.Empty(t, n.list(t))
	assert.Empty(t, n.below(t, host.StoreDir+"/downloads"))

	s.misbehave(nil)
	n.pull(t, name)
	assert.NoError(t, mounted(t, n, p.Manifest))
}

func TestMirrorsMayChangeWhileTheAgentRuns(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.mirror(t, "127.0.0.1:1")
	require.Error(t, n.store.Pull(t.Context(), name, func(host.Progress) {}))
	n.mirror(t, s.address())
	n.pull(t, name)
}

func TestAnImageThatTheRegistryDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	n := newNode(t, newSource(t))
	name := repository + "@sha256:" + strings.Repeat("a", 64)
	require.ErrorContains(t, n.store.Pull(t.Context(), name, func(host.Progress) {}), name)
	require.ErrorContains(t, n.store.Pull(t.Context(), "NOT A NAME", nil), `pulling payload "NOT A NAME"`)
	for _, tag := range []string{repository, repository + ":v1"} {
		assert.ErrorContains(t, n.store.Pull(t.Context(), tag, nil), "name it by digest")
	}
}
