// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"context"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
)

// cable is a connection to a server that can be cut. No end learns of it: what is sent is lost, and
// nothing is closed.
type cable struct {
	listener net.Listener
	to       string
	cut      atomic.Bool
	carrying sync.WaitGroup

	mu    sync.Mutex
	ends  []net.Conn
	ended bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{listener: listener, to: to}
	c.carrying.Go(c.accept)
	t.Cleanup(c.end)
	return c
}

func (c *cable) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", c.to)
		if err != nil || !c.keep(client, server) {
			_ = client.Close() //nolint:errcheck // The test has ended.
			return
		}
		c.carrying.Go(func() { c.carry(client, server) })
		c.carrying.Go(func() { c.carry(server, client) })
	}
}

func (c *cable) keep(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, ends...)
	return !c.ended
}

func (c *cable) carry(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if c.cut.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (c *cable) end() {
	_ = c.listener.Close() //nolint:errcheck // A second time says so.
	c.mu.Lock()
	c.ended = true
	for _, end := range c.ends {
		_ = end.Close() //nolint:errcheck // It may be closed.
	}
	c.mu.Unlock()
	c.carrying.Wait()
}

func TestAnAPIServerThatVanishesSilentlyIsNoticed(t *testing.T) {
	t.Setenv("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "1") // 30 s otherwise
	t.Setenv("HTTP2_PING_TIMEOUT_SECONDS", "1")      // 15 s otherwise
	a := newAPI(t, annotated(node.IntentAnnotation, "an intent"))
	secure := httptest.NewUnstartedServer(a.server.Config.Handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(func() { secure.CloseClientConnections(); secure.Close() })
	line := newCable(t, secure.Listener.Addr().String())
	a.url = "https://" + line.listener.Addr().String()
	c := a.connect()

	line.cut.Store(true)
	require.NoError(t, line.listener.Close())
	a.await(c, func() bool { return !c.State().PodsKnown })
	assert.True(t, c.State().Known, "what it said last stays")
}

func TestAnAPIServerThatDoesNotSayWhoWeAreIsAskedAgain(t *testing.T) {
	t.Parallel()
	a := newAPI(t, annotated(node.IntentAnnotation, "an intent"))
	a.hung = make(chan struct{})
	t.Cleanup(func() { close(a.hung) })
	out := &loud{said: make(chan struct{}, 1)}
	log := logrus.New()
	log.SetOutput(out)
	c := nodeclient.New(a.kubeconfig(), log)
	c.AskFor(time.Millisecond)
	var running sync.WaitGroup
	running.Go(func() { c.Run(t.Context()) })
	t.Cleanup(running.Wait)
	<-out.said
	out.mu.Lock()
	defer out.mu.Unlock()
	assert.Contains(t, out.text.String(), "asking the API server for this node's name")
}
