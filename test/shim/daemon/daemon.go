// SPDX-License-Identifier: Apache-2.0

// Package daemon is the long-lived process of the test shim: it serves one sandbox until that is
// shut down. It joins the pod's cgroup at the first create and gives it back at the end.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/kata-node/kata-node/test/shim/bundle"
	"github.com/kata-node/kata-node/test/shim/cgroup"
	"github.com/kata-node/kata-node/test/shim/config"
	"github.com/kata-node/kata-node/test/shim/workload"
)

// farewell is how long the answer to the last call may take to reach its client.
const farewell = 2 * time.Second

// Run serves the Task service on an already listening socket and removes the socket when it ends.
// The directory is the sandbox's own bundle.
func Run(ctx context.Context, socket *os.File, dir string) error {
	listener, err := net.FileListener(socket)
	// Closed at once: it was inherited, so the processes started here would inherit it too, and who
	// connects after the end of this process would wait for an answer.
	if err := errors.Join(err, socket.Close()); err != nil {
		return fmt.Errorf("taking over the socket: %w", err)
	}
	defer os.Remove(listener.Addr().String()) //nolint:errcheck // a socket that stays does no harm
	server, err := ttrpc.NewServer()
	if err != nil {
		return fmt.Errorf("making ttrpc server: %w", err)
	}
	var p place
	sandbox, err := p.serve(ctx, server, dir)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	select {
	case err := <-served:
		return err
	case <-sandbox.done:
		return errors.Join(goodbye(ctx, server), sandbox.end())
	}
}

// sandbox is what the shim serves.
type sandbox struct {
	done <-chan struct{} // closed when the shim shall end
	end  func() error
}

func (p *place) serve(ctx context.Context, server *ttrpc.Server, dir string) (sandbox, error) {
	service, err := workload.New(ctx, dir, p.admit)
	if err != nil {
		return sandbox{}, err
	}
	workload.Register(server, service)
	return sandbox{service.Done(), func() error { return errors.Join(service.Close(), p.leave()) }}, nil
}

// FollowMounts makes mounts of the host visible in this process's own mount namespace, and nothing
// the other way.
func FollowMounts() error {
	for _, flags := range []uintptr{syscall.MS_REC | syscall.MS_SLAVE, syscall.MS_REC | syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("following the host's mounts: %w", err)
		}
	}
	return nil
}

func goodbye(ctx context.Context, server *ttrpc.Server) error {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}

// place is where the shim stands in the cgroup hierarchies.
type place struct {
	mu    sync.Mutex
	roots []string
	path  string
	// booted says that the sandbox's guest has its image.
	booted bool
}

func (p *place) admit(dir, configPath string) error {
	b, err := bundle.Read(dir)
	if err != nil {
		return err
	}
	c, err := config.Load(configPath)
	if err != nil {
		return err
	}
	if isOwnNamespace(b.NetworkNamespace()) {
		if err := c.AdmitsHostNetwork(); err != nil {
			return err
		}
	}
	if err := p.boot(c.Hypervisor.QEMU.Image); err != nil {
		return err
	}
	return p.join(b.ShimCgroup())
}

// boot takes the guest's image, once for all containers of the sandbox.
func (p *place) boot(image string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if image == "" || p.booted {
		return nil
	}
	p.booted = true
	return mapGuest(image)
}

// isOwnNamespace tells whether path is the network namespace of this process, which is the host's.
func isOwnNamespace(path string) bool {
	other, err := os.Stat(path)
	if err != nil {
		return false
	}
	own, err := os.Stat("/proc/self/ns/net")
	return err == nil && os.SameFile(own, other)
}

func (p *place) join(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if path == "" || p.path != "" {
		return nil
	}
	roots, err := cgroup.Roots("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	p.roots, p.path = roots, path
	return cgroup.Join(roots, path, os.Getpid())
}

func (p *place) leave() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.path == "" {
		return nil
	}
	return cgroup.Leave(p.roots, p.path, os.Getpid())
}
