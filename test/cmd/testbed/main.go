// SPDX-License-Identifier: Apache-2.0

// Command testbed is a control plane for tests: etcd, kube-apiserver, kube-scheduler,
// kube-controller-manager and an image registry in one process. It writes one JSON document to
// stdout when all of them are ready, and ends when its stdin closes, so that it never outlives the
// test that started it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kata-node/kata-node/test/bed/endpoints"
	"github.com/kata-node/kata-node/test/bed/machine"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

var (
	errAsked     = errors.New("asked to end")
	errOwnerGone = errors.New("owner is gone")
)

// run takes two optional arguments: the directory of machines to sweep at the end, see
// [machine.Sweep], and a controller to leave out.
func run(args []string) error {
	owner := os.Getppid()
	ctx, end := context.WithCancelCause(context.Background())
	endWhenAsked(end)
	go endWithOwner(end)
	without := ""
	if len(args) > 1 {
		without = args[1]
	}
	err := serve(ctx, without, end)
	if len(args) == 0 {
		return err
	}
	if errors.Is(context.Cause(ctx), errOwnerGone) {
		awaitOrphaned(owner)
	}
	return errors.Join(err, machine.Sweep(context.Background(), args[0]))
}

// endWhenAsked listens for the signal of an owner that lives on, and for the kernel's when it does
// not. Ctrl-C in a terminal reaches the owner, too. If the owner ends by it, this process removes
// the owner's machines.
func endWhenAsked(end context.CancelCauseFunc) {
	signal.Ignore(syscall.SIGINT)
	received := make(chan os.Signal, 1)
	signal.Notify(received, endpoints.Stop, syscall.SIGTERM)
	go func() {
		if <-received == endpoints.Stop {
			end(errAsked)
		}
		end(errOwnerGone)
	}()
}

// endWithOwner waits for the end of stdin, whose other end only the owner has.
func endWithOwner(end context.CancelCauseFunc) {
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // However it ends, the owner is gone.
	end(errOwnerGone)
}

// awaitOrphaned waits until the owner has ended: its files are closed a moment before, and a sweep
// spares the living.
func awaitOrphaned(owner int) {
	ctx := context.Background()
	_ = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return os.Getppid() != owner, nil
	})
}

// serve runs the servers until the program shall end, and returns why if that was not in good
// order.
func serve(ctx context.Context, without string, end context.CancelCauseFunc) error {
	dir, err := os.MkdirTemp("", "testbed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ready, err := start(ctx, dir, without, end)
	if err == nil {
		err = ready.Write(os.Stdout)
	}
	if err != nil {
		end(err)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, errAsked) && !errors.Is(cause, errOwnerGone) {
		return cause
	}
	return nil
}

// start returns when all servers answer; a server that ends later cancels ctx through fail.
func start(ctx context.Context, dir, without string, fail context.CancelCauseFunc) (e endpoints.Endpoints, err error) {
	authorities, err := newCredentials(dir)
	if err != nil {
		return e, err
	}
	e.ServerCA, e.ClientCA = authorities.servers.Pair().Cert, authorities.clients.Pair()
	etcd, err := startEtcd(ctx, dir)
	if err != nil {
		return e, err
	}
	if e.Registry, err = startRegistry(ctx, dir, fail); err != nil {
		return e, err
	}
	e.AuditLog = filepath.Join(dir, "audit.log")
	if e.APIServer, err = startAPIServer(ctx, dir, etcd, e.AuditLog, authorities, fail); err != nil {
		return e, err
	}
	return e, complete(ctx, dir, e.APIServer, without, authorities, fail)
}

// complete starts what works through the API server, and returns when pods can be created.
func complete(ctx context.Context, dir, apiServer, without string, authorities credentials, fail context.CancelCauseFunc) error {
	kubeconfig, err := adminKubeconfig(dir, apiServer, authorities)
	if err != nil {
		return err
	}
	admin, err := adminClient(kubeconfig)
	if err != nil {
		return err
	}
	if err := awaitAPIServer(ctx, admin); err != nil {
		return err
	}
	if err := startControllers(ctx, kubeconfig, without, authorities, fail); err != nil {
		return err
	}
	if err := startScheduler(ctx, kubeconfig, fail); err != nil {
		return err
	}
	if err := allowRenewals(ctx, admin); err != nil {
		return err
	}
	return awaitAccount(ctx, admin)
}
