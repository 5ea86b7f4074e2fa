// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // The driver named in the configuration below.
)

// startRegistry serves an empty registry that anybody may push to, and returns its host:port.
func startRegistry(ctx context.Context, dir string, fail context.CancelCauseFunc) (string, error) {
	config := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  configuration.Parameters{"rootdirectory": filepath.Join(dir, "registry")},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
	}}
	config.Log.Level = "warn"
	config.Log.AccessLog.Disabled = true
	config.Catalog.MaxEntries = 1000

	listener, err := listen(ctx)
	if err != nil {
		return "", fmt.Errorf("starting registry: %w", err)
	}
	server := &http.Server{Handler: handlers.NewApp(ctx, config), ReadHeaderTimeout: time.Minute}
	go func() { fail(fmt.Errorf("serving registry: %w", server.Serve(listener))) }()
	return listener.Addr().String(), nil
}

// listen takes a free port on the loopback address.
func listen(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}
