// SPDX-License-Identifier: Apache-2.0

// Package daemon is the life of one CRI-O process: read, validate, listen, restore, READY=1, reload
// on SIGHUP, end on SIGTERM. It never touches a shim when it ends: sandboxes outlive it.
package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/crio/config"
	"github.com/kata-node/kata-node/test/standin/crio/fault"
	"github.com/kata-node/kata-node/test/standin/crio/handler"
	"github.com/kata-node/kata-node/test/standin/crio/network"
	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
	"github.com/kata-node/kata-node/test/standin/crio/server"
)

const (
	sandboxDir = "overlay-containers"
	socketMode = 0o660
)

// Options is what the command line decides.
type Options struct {
	Source       config.Source
	Kubeconfig   string           // with which the pod network looks pods up
	Faults       fault.Dir        // where tests hold the process
	CgroupParent string           // see server.Parts
	Reload       <-chan os.Signal // SIGHUP
	Log          *logrus.Logger
}

// Run serves until ctx ends. The error of a refused configuration comes back before anything is
// listened on.
func Run(ctx context.Context, o Options) error {
	o.Log.Infof("Starting CRI-O, version: %s, git: stand-in", server.Version)
	c, err := o.Source.Read()
	if err != nil {
		return err
	}
	level, err := logrus.ParseLevel(c.Crio.Runtime.LogLevel)
	if err != nil {
		return err
	}
	o.Log.SetLevel(level)
	table, err := handler.New(ctx, c.Crio.Runtime, o.Log)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.Crio.API.Listen)
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the socket goes with it
	store, err := sandbox.Open(filepath.Join(c.Crio.Root.Root, sandboxDir), filepath.Join(c.Crio.RunRoot, sandboxDir))
	if err != nil {
		return err
	}
	if err := o.Faults.Hold(ctx, fault.StallStart); err != nil {
		return err
	}
	service := server.New(ctx, server.Parts{
		Handlers: table, Store: store, Network: network.Pods{Kubeconfig: o.Kubeconfig},
		Faults: o.Faults, LogDir: c.Crio.LogDir, DropInfra: c.Crio.Runtime.DropInfraCtr, CgroupParent: o.CgroupParent, Log: o.Log,
	})
	return serve(ctx, o, listener, service, table)
}

func serve(ctx context.Context, o Options, listener net.Listener, service *server.Server, table *handler.Table) error {
	rpc := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(rpc, service)
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(listener) }()
	defer rpc.Stop()
	if _, err := sddaemon.SdNotify(false, sddaemon.SdNotifyReady); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	go feedWatchdog(ctx)
	for {
		select {
		case <-ctx.Done():
			o.Log.Infof("Stopping; sandboxes go on")
			return nil
		case err := <-served:
			return err
		case <-o.Reload:
			reload(ctx, o, table)
		}
	}
}

func reload(ctx context.Context, o Options, table *handler.Table) {
	o.Log.Infof("Reloading configuration")
	c, err := o.Source.Read()
	if err == nil {
		err = table.Reload(ctx, c.Crio.Runtime)
	}
	if err != nil {
		o.Log.Errorf("Unable to reload configuration: %v", err)
		return
	}
	o.Log.Infof("Configuration reload completed")
}

// listen takes the place of a socket that an earlier process left behind.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("listening: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return listener, os.Chmod(path, socketMode)
}
