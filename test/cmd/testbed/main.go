// SPDX-License-Identifier: Apache-2.0

// Command testbed is a control plane for tests: etcd, kube-apiserver and an image registry in one process.
// It writes one JSON document to stdout when all of them are ready, and ends when its stdin closes, so that it never outlives the test that started it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/kata-node/kata-node/test/bed/endpoints"
	"github.com/kata-node/kata-node/test/bed/machine"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

// errAsked is why the program ends in good order.
var errAsked = errors.New("asked to end")

// run takes one optional argument: the directory of machines to sweep at the end, see [machine.Sweep].
func run(args []string) error {
	ctx, end := context.WithCancelCause(context.Background())
	go endWhenAsked(end)
	dir, err := os.MkdirTemp("", "testbed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	ready, err := start(ctx, dir, end)
	if err == nil {
		err = ready.Write(os.Stdout)
	}
	if err != nil {
		end(err)
	}
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, errAsked) {
		return errors.Join(err, sweep(args))
	}
	return sweep(args)
}

// endWhenAsked waits for a signal or for the owner of this process to be gone.
func endWhenAsked(end context.CancelCauseFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() {
		defer stop()
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // However it ends, the owner is gone.
	}()
	<-ctx.Done()
	end(errAsked)
}

// start returns when all servers answer; a server that ends later cancels ctx through fail.
func start(ctx context.Context, dir string, fail context.CancelCauseFunc) (e endpoints.Endpoints, err error) {
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
	if e.APIServer, err = startAPIServer(ctx, dir, etcd, authorities, fail); err != nil {
		return e, err
	}
	return e, awaitReady(ctx, e, authorities.clients)
}

// sweep removes what a crashed owner left behind; it does nothing for an owner that is alive and cleans up by itself.
func sweep(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return machine.Sweep(context.Background(), args[0])
}
