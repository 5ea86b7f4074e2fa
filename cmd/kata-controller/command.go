// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller"
)

// requestsPerSecond is how fast a rollout is unless the operator says otherwise, whatever the size
// of the cluster. A burst may be twice that.
const requestsPerSecond = 20

type options struct {
	requests   float32
	kubeconfig string
	listen     string
	logLevel   string
	settings   controller.Settings
	election   controller.Election
}

func command(log *logrus.Logger) *cobra.Command {
	o := options{settings: controller.Settings{Now: time.Now, Health: &controller.Health{}}}
	cmd := &cobra.Command{
		Use:           "kata-controller",
		Short:         "Brings Kata Containers to the nodes that KataConfigs select",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.settings.Namespace = o.election.Namespace
			o.settings.Catalog.Namespace = cmp.Or(o.settings.Catalog.Namespace, o.election.Namespace)
			return run(cmd.Context(), o, log)
		},
	}
	o.register(cmd)
	return cmd
}

func (o *options) register(cmd *cobra.Command) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "credential for the API server; without it, the pod's service account")
	f.StringVar(&o.settings.DefaultPayload, "default-payload", "", "payload for KataConfigs that name none, as registry/repository@sha256:digest")
	f.StringVar(&o.settings.Catalog.Name, "catalog", "", "ConfigMap whose key catalog.yaml says which payload is for which version, for KataConfigs that name none; while it is there, --default-payload is not used")
	f.StringVar(&o.settings.Catalog.Namespace, "catalog-namespace", "", "its namespace; without it, that of --namespace")
	f.StringSliceVar(&o.settings.AllowedPayloads, "allowed-payloads", nil, "prefixes of references, such as registry/directory, below which payloads are rolled out; without it, every payload")
	f.DurationVar(&o.settings.AgentDeadline, "agent-deadline", 5*time.Minute, "how long a node may leave an intent unanswered before it counts as failed")
	f.DurationVar(&o.settings.ProgressDeadline, "progress-deadline", 30*time.Minute, "how long a node may stay as it is before it counts as failed")
	f.DurationVar(&o.settings.FailureGrace, "failure-grace", 10*time.Minute, "how long a failed node holds its place in a rollout before another one is tried")
	f.DurationVar(&o.settings.PingInterval, "ping-interval", 24*time.Hour, "how long an agent whose node is at rest may be silent before it is asked whether it is alive; 0 for never")
	f.Float32Var(&o.requests, "requests-per-second", requestsPerSecond, "how many requests the API server gets, on average, and half of those that it gets at once")
	f.DurationVar(&o.settings.Settle, "settle", 200*time.Millisecond, "how long a pass waits for further events")
	f.StringVar(&o.election.Namespace, "namespace", "kata-node", "namespace of the controller, its lease and its ledger")
	f.StringVar(&o.election.Identity, "leader-elect-identity", fmt.Sprintf("%s-%d", host, os.Getpid()), "this instance's name in the lease")
	f.DurationVar(&o.election.LeaseDuration, "leader-elect-lease-duration", controller.LeaseDuration, "how long others wait before they take over a silent leader's lease")
	f.DurationVar(&o.election.RenewDeadline, "leader-elect-renew-deadline", controller.RenewDeadline, "how long the leader tries to renew before it gives up")
	f.DurationVar(&o.election.RetryPeriod, "leader-elect-retry-period", controller.RetryPeriod, "time between attempts")
	f.StringVar(&o.listen, "listen", ":8080", "address of /healthz, /readyz and /metrics; empty for none")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warning or error")
}

func run(ctx context.Context, o options, log *logrus.Logger) error {
	level, err := logrus.ParseLevel(o.logLevel)
	if err != nil {
		return fmt.Errorf("reading --log-level: %w", err)
	}
	log.SetLevel(level)
	if err := checkPayloads(o.settings.DefaultPayload, o.settings.AllowedPayloads); err != nil {
		return err
	}
	config, err := clientConfig(o.kubeconfig, o.requests)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	if err := describe(registry); err != nil {
		return err
	}
	metrics, err := controller.NewMetrics(registry)
	if err != nil {
		return err
	}
	if o.listen != "" {
		if err := serve(ctx, o.listen, registry, o.settings.Health, log); err != nil {
			return err
		}
	}
	return controller.Lead(ctx, config, o.election, log, func(ctx context.Context, held *rest.Config) error {
		return controller.Run(ctx, held, o.settings, metrics, log)
	})
}

// checkPayloads refuses a tag: it could mean another image on every node. It refuses prefixes that
// allow nothing by a typing mistake, and a default that is not allowed.
func checkPayloads(image string, allowed []string) error {
	for _, prefix := range allowed {
		if err := node.ValidatePrefix(prefix); err != nil {
			return fmt.Errorf("reading --allowed-payloads: %w", err)
		}
	}
	if image == "" {
		return nil
	}
	probe := node.Intent{State: node.StateInstalled, Payload: image}.Identify("")
	if err := probe.Validate(); err != nil {
		return fmt.Errorf("reading --default-payload: %w", err)
	}
	if !node.PayloadAllowed(allowed, image) {
		return fmt.Errorf("reading --default-payload: %q is below none of --allowed-payloads: name one that is, or add its prefix", image)
	}
	return nil
}

func clientConfig(kubeconfig string, requests float32) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the credential: %w", err)
	}
	config.QPS, config.Burst = requests, int(2*requests)
	config.UserAgent = "kata-controller"
	return config, nil
}
