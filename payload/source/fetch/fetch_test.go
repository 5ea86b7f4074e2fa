// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/source/fetch"
)

// server serves one file, and does something else for the first answers.
type server struct {
	*httptest.Server

	mu      sync.Mutex
	content []byte
	etag    string
	faults  []http.HandlerFunc
	// ranges are the Range headers of all requests.
	ranges []string
}

func serve(t *testing.T, content []byte, faults ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{content: content, etag: `"one"`, faults: faults}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	var fault http.HandlerFunc
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	content, etag := s.content, s.etag
	s.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ranges
}

func content() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 1<<14) }

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func cache(t *testing.T) fetch.Cache {
	t.Helper()
	return fetch.Cache{Dir: filepath.Join(t.TempDir(), "cache"), FirstDelay: time.Millisecond, IdleTimeout: time.Minute}
}

// send hands a part to the client, which may be gone.
func send(w http.ResponseWriter, part []byte) {
	if _, err := w.Write(part); err != nil {
		return
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
}

// breakOff sends the first part of the file and then resets the connection.
func breakOff(s *[]byte, header, value string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set(header, value)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(*s)))
		send(w, (*s)[:len(*s)/2])
		panic(http.ErrAbortHandler)
	}
}

func answer(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hold sends part of the file and nothing more.
func hold(s *[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(*s)))
		send(w, (*s)[:len(*s)/2])
		<-r.Context().Done()
	}
}

func TestADownloadSurvivesFaults(t *testing.T) {
	t.Parallel()
	want := content()
	short := want[:len(want)-5]
	half := fmt.Sprintf("bytes=%d-", len(want)/2)
	for name, test := range map[string]struct {
		faults []http.HandlerFunc
		ranges []string
	}{
		"none":                      {nil, []string{""}},
		"5xx, then it works":        {[]http.HandlerFunc{answer(503), answer(500), answer(429)}, []string{"", "", "", ""}},
		"reset, then the rest":      {[]http.HandlerFunc{breakOff(&want, "ETag", `"one"`)}, []string{"", half}},
		"reset without an ETag":     {[]http.HandlerFunc{breakOff(&want, "", "")}, []string{"", ""}},
		"reset with a weak ETag":    {[]http.HandlerFunc{breakOff(&want, "ETag", `W/"one"`)}, []string{"", ""}},
		"another file meanwhile":    {[]http.HandlerFunc{breakOff(&want, "ETag", `"zero"`)}, []string{"", half}},
		"range that does not exist": {[]http.HandlerFunc{breakOff(&want, "ETag", `"one"`), answer(416)}, []string{"", half, ""}},
		"reset twice": {
			[]http.HandlerFunc{breakOff(&want, "ETag", `"one"`), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
			[]string{"", half, half},
		},
		"another part than asked for": {
			[]http.HandlerFunc{breakOff(&want, "ETag", `"one"`), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Range", "bytes 5-9/100")
				w.WriteHeader(http.StatusPartialContent)
			}},
			[]string{"", half, ""},
		},
		"no ranges": {
			[]http.HandlerFunc{breakOff(&want, "ETag", `"one"`), func(w http.ResponseWriter, _ *http.Request) { send(w, want) }},
			[]string{"", half},
		},
		"shorter than announced": {
			[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(want)))
				send(w, short)
			}},
			[]string{"", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := serve(t, want, test.faults...), cache(t)
			var done int64
			c.Progress = func(p fetch.Progress) { done = p.Done }
			path, got, err := c.Get(t.Context(), s.URL, digest(want))
			require.NoError(t, err)
			assert.Equal(t, digest(want), got)
			found, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(want, found))
			assert.Equal(t, test.ranges, s.requests())
			assert.Equal(t, int64(len(want)), done)
			assertOnly(t, c.Dir, filepath.Base(path))
		})
	}
}

// assertOnly fails if the directory holds anything but the named file.
func assertOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	assert.Equal(t, names, found)
}

func TestAServerThatFallsSilentIsAskedAgain(t *testing.T) {
	t.Parallel()
	want := content()
	s, c := serve(t, want, hold(&want)), cache(t)
	c.IdleTimeout = 100 * time.Millisecond
	_, _, err := c.Get(t.Context(), s.URL, digest(want))
	require.NoError(t, err)
}

func TestWhatNoRepetitionEndsIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	want := content()
	s := serve(t, want, answer(404))
	c := cache(t)
	_, _, err := c.Get(t.Context(), s.URL+"/x.tar.zst", digest(want))
	require.EqualError(t, err, "downloading "+s.URL+"/x.tar.zst: the server answers 404 Not Found")
	assert.Len(t, s.requests(), 1)
	assertOnly(t, c.Dir)

	tls := httptest.NewTLSServer(s)
	defer tls.Close()
	_, _, err = cache(t).Get(t.Context(), tls.URL, digest(want))
	require.ErrorContains(t, err, "certificate")
	assert.Len(t, s.requests(), 1)

	s = serve(t, want, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<40))
	})
	_, _, err = cache(t).Get(t.Context(), s.URL, digest(want))
	require.ErrorContains(t, err, "has 1099511627776 bytes: at most 8589934592 are downloaded")
}

func TestAnotherDigestIsRefusedAndDeleted(t *testing.T) {
	t.Parallel()
	s, c := serve(t, content()), cache(t)
	_, _, err := c.Get(t.Context(), s.URL, strings.Repeat("0", 64))
	require.ErrorContains(t, err, "has sha256 "+digest(content())+", and sources.toml pins 000")
	assert.NotContains(t, err.Error(), "\n")
	assertOnly(t, c.Dir)
}

func TestAnUnpinnedFileIsDownloadedAndMeasured(t *testing.T) {
	t.Parallel()
	s, c := serve(t, content()), cache(t)
	_, got, err := c.Get(t.Context(), s.URL, "")
	require.NoError(t, err)
	assert.Equal(t, digest(content()), got)
	_, _, err = c.Get(t.Context(), s.URL, got)
	require.NoError(t, err)
	assert.Len(t, s.requests(), 1, "the second time it comes from the cache")
}

func TestADamagedFileOfTheCacheIsDownloadedAgain(t *testing.T) {
	t.Parallel()
	s, c := serve(t, content()), cache(t)
	path, _, err := c.Get(t.Context(), s.URL, digest(content()))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o600))
	_, _, err = c.Get(t.Context(), s.URL, digest(content()))
	require.NoError(t, err)
	assert.Len(t, s.requests(), 2)
}

func TestADownloadIsResumedByAnotherProcess(t *testing.T) {
	t.Parallel()
	want := content()
	s, c := serve(t, want, hold(&want)), cache(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.Progress = func(p fetch.Progress) {
		if p.Done == int64(len(want)/2) {
			cancel()
		}
	}
	_, _, err := c.Get(ctx, s.URL, digest(want))
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = fetch.Cache{Dir: c.Dir}.Get(t.Context(), s.URL, digest(want))
	require.NoError(t, err)
	assert.Equal(t, []string{"", fmt.Sprintf("bytes=%d-", len(want)/2)}, s.requests())
}

func TestSeveralAtOnceDownloadOnce(t *testing.T) {
	t.Parallel()
	s, c := serve(t, content()), cache(t)
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() { _, _, errs[i] = c.Get(t.Context(), s.URL, digest(content())) })
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	assert.Len(t, s.requests(), 1)
	assertOnly(t, c.Dir, "sha256-"+digest(content()))
}

func TestARedirectIsFollowed(t *testing.T) {
	t.Parallel()
	want := content()
	s := serve(t, want)
	first := httptest.NewServer(http.RedirectHandler(s.URL+"/asset", http.StatusFound))
	defer first.Close()
	_, _, err := cache(t).Get(t.Context(), first.URL, digest(want))
	require.NoError(t, err)

	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }))
	defer loop.Close()
	_, _, err = cache(t).Get(t.Context(), loop.URL, digest(want))
	require.ErrorContains(t, err, "redirected more than 10 times")
}

func TestACacheThatCannotBeMadeIsNamed(t *testing.T) {
	t.Parallel()
	s, c := serve(t, content()), cache(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(c.Dir), 0o700))
	require.NoError(t, os.WriteFile(c.Dir, nil, 0o600))
	_, _, err := c.Get(t.Context(), s.URL, digest(content()))
	require.ErrorContains(t, err, "not a directory")
	assert.Empty(t, s.requests())
}
