// SPDX-License-Identifier: Apache-2.0

// Package fault stands between a node and what it talks to, and takes that away when a test says
// so. A forwarder can cut every connection; a registry can hang, refuse and lie for the requests
// that a test picks.
package fault

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// Forwarder passes TCP connections on to one target, byte for byte, until it is cut.
type Forwarder struct {
	target   string
	listener net.Listener
	pending  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

// Forward starts a forwarder from listener to target. It outlives ctx and ends with Close, and the
// listener with it.
func Forward(ctx context.Context, listener net.Listener, target string) *Forwarder {
	f := &Forwarder{target: target, listener: listener, conns: map[net.Conn]struct{}{}}
	f.pending.Go(func() { f.accept(context.WithoutCancel(ctx)) })
	return f
}

// Address is the host:port that clients connect to. It stays the same over cuts.
func (f *Forwarder) Address() string { return f.listener.Addr().String() }

// Cut ends every connection, and each new one at once, until Restore.
func (f *Forwarder) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	for conn := range f.conns {
		conn.Close()
	}
}

// Restore lets connections through again.
func (f *Forwarder) Restore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = false
}

// Close ends the forwarder and every connection through it.
func (f *Forwarder) Close() error {
	err := f.listener.Close()
	f.Cut()
	f.pending.Wait()
	return err
}

func (f *Forwarder) accept(ctx context.Context) {
	for {
		conn, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			f.pending.Go(func() { f.serve(ctx, conn) })
		}
	}
}

func (f *Forwarder) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	if !f.admit(client) {
		return
	}
	defer f.forget(client)
	server, err := new(net.Dialer).DialContext(ctx, "tcp", f.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !f.admit(server) {
		return
	}
	defer f.forget(server)
	var both sync.WaitGroup
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

// pass copies one direction and then closes both, which ends the other direction.
func pass(to, from net.Conn) {
	io.Copy(to, from) //nolint:errcheck // A broken connection is what this package is for.
	to.Close()
	from.Close()
}

func (f *Forwarder) admit(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		return false
	}
	f.conns[conn] = struct{}{}
	return true
}

func (f *Forwarder) forget(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}
