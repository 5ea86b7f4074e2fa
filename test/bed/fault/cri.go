// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// CRI passes calls on to a container runtime, but for those that a test spoils.
type CRI struct {
	listener *ending
	server   *grpc.Server
	runtime  *grpc.ClientConn
	serving  sync.WaitGroup

	mu      sync.Mutex
	spoiled map[string]Spoiler
}

// Spoiler answers a call in place of the runtime. pass is what the runtime answers; it can be
// called once.
type Spoiler func(ctx context.Context, pass Pass) ([]byte, error)

// Pass sends a call to the runtime and returns its answer as sent, or its error.
type Pass func(ctx context.Context) ([]byte, error)

// ServeCRI listens at a socket in front of the runtime's. It ends with Close.
func ServeCRI(socket, runtime string) (*CRI, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("serving CRI: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("serving CRI: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	soon := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: time.Second}
	conn, err := grpc.NewClient("unix://"+runtime, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(soon),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serving CRI: %w", err), listener.Close())
	}
	c := &CRI{listener: &ending{Listener: listener}, runtime: conn, spoiled: map[string]Spoiler{}}
	c.server = grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(c.handle))
	c.serving.Go(func() { c.server.Serve(c.listener) }) //nolint:errcheck // It ends with Close.
	return c, nil
}

// maxAnswer is the kubelet's limit, in bytes.
const maxAnswer = 16 << 20

// Spoil replaces what becomes of the calls of a method, such as RunPodSandbox, until undo is
// called.
func (c *CRI) Spoil(method string, spoiler Spoiler) (undo func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spoiled[method] = spoiler
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.spoiled, method)
	}
}

// Cut ends every connection with a client. A new one is served.
func (c *CRI) Cut() { c.listener.end() }

// Close ends the server and every connection through it. The socket stays, and refuses connections.
func (c *CRI) Close() error {
	c.server.Stop()
	c.serving.Wait()
	return c.runtime.Close()
}

func (c *CRI) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	pass := func(ctx context.Context) (answer []byte, err error) {
		err = c.runtime.Invoke(ctx, method, &request, &answer, grpc.ForceCodec(raw{}))
		return answer, err
	}
	answer, err := c.spoiler(path.Base(method))(stream.Context(), pass)
	if err != nil {
		return err
	}
	return stream.SendMsg(&answer)
}

func (c *CRI) spoiler(method string) Spoiler {
	c.mu.Lock()
	defer c.mu.Unlock()
	if spoiler := c.spoiled[method]; spoiler != nil {
		return spoiler
	}
	return func(ctx context.Context, pass Pass) ([]byte, error) { return pass(ctx) }
}

// raw leaves messages as they are. It has no name: CRI-O closes a connection whose content type is
// not application/grpc alone.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	content, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("sending %T: only bytes are passed on", v)
	}
	return *content, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	content, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("receiving %T: only bytes are passed on", v)
	}
	*content = bytes.Clone(data)
	return nil
}

func (raw) Name() string { return "" }

// ending can end the connections that it has accepted.
type ending struct {
	net.Listener

	mu       sync.Mutex
	accepted []net.Conn
}

// Accept implements net.Listener.
func (e *ending) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.accepted = append(e.accepted, conn)
	}
	return conn, err
}

func (e *ending) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, conn := range e.accepted {
		conn.Close()
	}
	e.accepted = nil
}
