// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/controller"
)

// describe registers what is known of this process: its version, memory and CPU time.
func describe(registry prometheus.Registerer) error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "kata_controller_build_info",
		Help:        "1, with the version of this program.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	process := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	for _, c := range []prometheus.Collector{build, process, collectors.NewGoCollector()} {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// serve answers /healthz, /readyz and /metrics until the context ends.
func serve(ctx context.Context, address string, registry *prometheus.Registry, health *controller.Health, log logrus.FieldLogger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", verdict(func() error { return health.Alive(time.Now()) }))
	mux.HandleFunc("GET /readyz", verdict(health.Ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.WithError(err).Warnf("metrics are not served any more")
		}
	}()
	context.AfterFunc(ctx, func() {
		if err := server.Close(); err != nil {
			log.WithError(err).Debugf("closing the metrics server")
		}
	})
	return nil
}

// verdict answers a probe: 200, or 503 and the reason.
func verdict(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	}
}
