// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/metrics"
)

// measure returns the agent's figures, which it serves until the context ends. The agent works all
// the same where they cannot be served.
func measure(ctx context.Context, w *wiring, log logrus.FieldLogger) (*metrics.Metrics, error) {
	registry := prometheus.NewRegistry()
	m, err := metrics.New(registry, version)
	if err != nil {
		return nil, err
	}
	for _, c := range []prometheus.Collector{collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector()} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	listeners := []func() (net.Listener, error){func() (net.Listener, error) { return listenAt(ctx, w.tree.Path(host.MetricsSocket)) }}
	if address := w.settings.MetricsAddress; address != "" {
		listeners = append(listeners, func() (net.Listener, error) { return (&net.ListenConfig{}).Listen(ctx, "tcp", address) })
	}
	for _, listen := range listeners {
		listener, err := listen()
		if err != nil {
			log.WithError(err).Warnf("Metrics are not served")
			continue
		}
		answer(ctx, listener, registry, log)
	}
	return m, nil
}

// socketMode lets root read the metrics alone.
const socketMode = 0o600

// listenAt replaces the socket of an agent that was killed: only the holder of the lock comes here.
func listenAt(ctx context.Context, socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, fmt.Errorf("making room for the metrics socket: %w", err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replacing the metrics socket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the metrics socket: %w", err), listener.Close())
	}
	return listener, nil
}

// scrapes is how many readers are answered at the same time.
const scrapes = 2

func answer(ctx context.Context, listener net.Listener, registry *prometheus.Registry, log logrus.FieldLogger) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.WithError(err).Warnf("Metrics are not served any more")
		}
	}()
	context.AfterFunc(ctx, func() {
		if err := server.Close(); err != nil {
			log.WithError(err).Debugf("Closing the metrics server")
		}
	})
}
