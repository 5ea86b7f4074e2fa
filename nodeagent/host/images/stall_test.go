// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// stallAt makes the registry begin an answer to a request for this blob and then stay silent.
func (s *source) stallAt(t *testing.T, digest string, begun func()) (ended chan struct{}) {
	t.Helper()
	ended = make(chan struct{})
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digest) {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		w.WriteHeader(http.StatusOK)
		_, err := w.Write([]byte("half"))
		assert.NoError(t, err)
		assert.NoError(t, http.NewResponseController(w).Flush())
		begun()
		<-r.Context().Done()
		close(ended)
		return true
	})
	return ended
}

func TestAStalledPullEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	ctx, cancel := context.WithCancel(t.Context())
	ended := s.stallAt(t, p.Layers[0].Digest, cancel)
	err := n.store.Pull(ctx, name, func(host.Progress) {})
	require.ErrorIs(t, err, context.Canceled)
	<-ended
	assert.Empty(t, n.list(t))
	assert.Empty(t, n.below(t, host.StoreDir+"/downloads"))
	s.misbehave(nil)
	n.pull(t, name)
}

func TestARegistryThatGoesSilentIsGivenUpByName(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	n.store.Stall = time.Second
	ended := s.stallAt(t, p.Layers[0].Digest, func() {})
	err := n.store.Pull(t.Context(), name, func(host.Progress) {})
	require.ErrorContains(t, err, "pulling payload")
	require.ErrorContains(t, err, "no progress for 1s")
	<-ended
	s.misbehave(nil)
	n.store.Stall = time.Minute
	n.pull(t, name)
}

// Not even the header of an answer comes.
func TestARegistryThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.store.Stall = time.Second
	s.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	require.ErrorContains(t, n.store.Pull(t.Context(), name, func(host.Progress) {}), "no progress for 1s")
}
