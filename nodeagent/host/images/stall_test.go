// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// stallAt makes the registry begin an answer to a request for this blob and then stay silent.
func (s *source) stallAt(digest string, begun func()) (ended chan struct{}) {
	ended = make(chan struct{}, 1)
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digest) {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("half"))            //nolint:errcheck // The client may have gone.
		_ = http.NewResponseController(w).Flush() //nolint:errcheck // As above.
		begun()
		<-r.Context().Done()
		select {
		case ended <- struct{}{}:
		default:
		}
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
	ended := s.stallAt(p.Layers[0].Digest, cancel)
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
	var begun atomic.Bool
	ended := s.stallAt(p.Layers[0].Digest, func() { begun.Store(true) })
	// On a busy machine the pull may be given up before it gets so far.
	for stall := time.Second; !begun.Load(); stall *= 2 {
		n.store.Stall = stall
		err := n.store.Pull(t.Context(), name, func(host.Progress) {})
		require.ErrorContains(t, err, "pulling payload")
		require.ErrorContains(t, err, "no progress for "+stall.String())
	}
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

// What a pull in parts asks for is not what has come.
func TestARegistryThatSendsNoPartsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	first, second, p := s.twoVersions(t)
	n.pull(t, first)
	n.store.Stall = 100 * time.Millisecond
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, p.Layers[0].Digest) || strings.Count(r.Header.Get("Range"), ",") == 1 {
			return false
		}
		w.WriteHeader(http.StatusPartialContent)
		<-r.Context().Done()
		return true
	})
	require.ErrorContains(t, n.store.Pull(t.Context(), second, func(host.Progress) {}), "no progress for 100ms")
	s.misbehave(nil)
	n.store.Stall = time.Minute
	n.pull(t, second)
}
