// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

const (
	blob     = "/v2/kata/payload/blobs/sha256:aa"
	manifest = "/v2/kata/payload/manifests/sha256:bb"
)

func TestForwarderCutEndsConnectionsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	forwarder := fault.Forward(t.Context(), listen(t), echoServer(t))
	t.Cleanup(func() { assert.NoError(t, forwarder.Close()) })
	conn := dial(t, forwarder.Address())
	require.Equal(t, "hello\n", echo(t, conn))

	forwarder.Cut()
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err, "an open connection ends")
	_, err = dial(t, forwarder.Address()).Read(make([]byte, 1))
	require.Error(t, err, "a new connection ends at once")

	forwarder.Restore()
	assert.Equal(t, "hello\n", echo(t, dial(t, forwarder.Address())))
}

func TestStallHoldsMatchingRequestsUntilReleased(t *testing.T) {
	t.Parallel()
	registry := newRegistry(t)
	stall := registry.Stall(fault.Blobs)
	assert.Equal(t, "content of "+manifest, get(t, registry, manifest), "another request passes")

	answer := make(chan string)
	go func() { answer <- get(t, registry, blob) }()
	<-stall.Reached()
	select {
	case <-answer:
		t.Fatal("a stalled request was answered")
	default:
	}
	stall.Release()
	assert.Equal(t, "content of "+blob, <-answer)
	assert.Equal(t, []string{"GET " + manifest, "GET " + blob}, registry.Requests())
}

func TestStallLetsAClientGoThatGivesUp(t *testing.T) {
	t.Parallel()
	registry := newRegistry(t)
	stall := registry.Stall(fault.Digest("sha256:aa"))
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := try(ctx, registry, blob)
		ended <- err
	}()
	<-stall.Reached()
	giveUp()
	require.ErrorIs(t, <-ended, context.Canceled)
	stall.Release()
	assert.Equal(t, "content of "+blob, get(t, registry, blob))
}

func TestRefuseAnswersUntilUndone(t *testing.T) {
	t.Parallel()
	registry := newRegistry(t)
	undo := registry.Refuse(fault.Manifests, http.StatusNotFound)
	assert.Contains(t, get(t, registry, manifest), "refused by the test")
	assert.Equal(t, "content of "+blob, get(t, registry, blob))
	undo()
	assert.Equal(t, "content of "+manifest, get(t, registry, manifest))
}

func TestCorruptChangesOneBitAndNoLength(t *testing.T) {
	t.Parallel()
	registry := newRegistry(t)
	undo := registry.Corrupt(fault.Blobs)
	lie := get(t, registry, blob)
	undo()
	truth := get(t, registry, blob)
	require.Len(t, lie, len(truth))
	var different int
	for i := range lie {
		if lie[i] != truth[i] {
			different++
		}
	}
	assert.Equal(t, 1, different)
}

func newRegistry(t *testing.T) *fault.Registry {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "content of "+r.URL.Path)
	}))
	t.Cleanup(upstream.Close)
	registry := fault.NewRegistry(listen(t), strings.TrimPrefix(upstream.URL, "http://"))
	t.Cleanup(func() { assert.NoError(t, registry.Close()) })
	return registry
}

func get(t *testing.T, registry *fault.Registry, path string) string {
	t.Helper()
	body, err := try(t.Context(), registry, path)
	assert.NoError(t, err)
	return body
}

func try(ctx context.Context, registry *fault.Registry, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+registry.Address()+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func echoServer(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(conn, conn)
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func echo(t *testing.T, conn net.Conn) string {
	t.Helper()
	_, err := io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	return line
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}
