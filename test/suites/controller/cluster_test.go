// SPDX-License-Identifier: Apache-2.0

// Package controller_test runs the controller against a real kube-apiserver, with exactly the
// rights and the policies of deploy/. Nodes are simulated: they speak the protocol with the
// credential of a kubelet.
package controller_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kata-node/kata-node/test/bed"
)

// Where deploy/ puts the controller.
const (
	namespace = "kata-node"
	account   = "kata-controller"
)

// Payloads that tests install.
const (
	payloadA = "registry.kata.test/kata/payload@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	payloadB = "registry.kata.test/kata/payload@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// patience is how long anything may take on a machine that is busy with something else; nothing
// waits for it to pass.
const patience = 4 * time.Minute

// cluster is a control plane of a test's own, with deploy/ applied.
type cluster struct {
	*bed.Cluster
	workspace bed.Workspace
	kube      *kubernetes.Clientset
	dynamic   *dynamic.DynamicClient
}

// control starts an empty control plane.
func control(t *testing.T) *cluster {
	t.Helper()
	workspace, err := bed.FindWorkspace()
	require.NoError(t, err)
	programs, err := workspace.Build(t.Context(), os.Stderr, bed.BuildOptions{Only: []string{"testbed"}})
	require.NoError(t, err)
	started, err := workspace.Start(t.Context(), bed.Options{Programs: programs})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, started.Close(context.Background())) }) //nolint:usetesting // the test's context is over by then
	c := &cluster{Cluster: started, workspace: workspace}
	admin, err := c.Admin()
	require.NoError(t, err)
	c.kube, err = kubernetes.NewForConfig(admin)
	require.NoError(t, err)
	c.dynamic, err = dynamic.NewForConfig(admin)
	require.NoError(t, err)
	return c
}

// start starts a control plane, applies deploy/ and waits until its policies are enforced.
func start(t *testing.T) *cluster {
	t.Helper()
	c := control(t)
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy")))
	c.awaitPolicies(t)
	return c
}

// awaitPolicies tries what each policy refuses, dry, until it does.
func (c *cluster) awaitPolicies(t *testing.T) {
	t.Helper()
	probe := c.worker(t, "policy-probe")
	for _, patch := range []string{
		`{"metadata":{"annotations":{"kataconfiguration.openshift.io/intent":"x"}}}`,
		`{"metadata":{"annotations":{"kataconfiguration.openshift.io/report":"x"}}}`,
	} {
		eventually(t, func(t *assert.CollectT, ctx context.Context) {
			_, err := c.kube.CoreV1().Nodes().Patch(ctx, probe.name, types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			assert.ErrorContains(t, err, "denied request")
		})
	}
	client := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:masters"}})
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := client.CoreV1().Nodes().Patch(ctx, probe.name, types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		assert.ErrorContains(t, err, "denied request")
	})
	require.NoError(t, c.kube.CoreV1().Nodes().Delete(t.Context(), probe.name, metav1.DeleteOptions{}))
}

// as is a client that the administrator uses on somebody's behalf.
func (c *cluster) as(t *testing.T, who rest.ImpersonationConfig) *kubernetes.Clientset {
	t.Helper()
	config, err := c.Admin()
	require.NoError(t, err)
	config.Impersonate = who
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// settings are the controller's, in a hurry.
func settings() controller.Settings {
	return controller.Settings{
		Settings:  decide.Settings{DefaultPayload: payloadA, AgentDeadline: time.Hour},
		Namespace: namespace,
		Settle:    10 * time.Millisecond, Now: time.Now,
	}
}

// run starts the controller as its Deployment does: with its service account and as leader. It ends
// with the test, or earlier by the returned function.
func (c *cluster) run(t *testing.T, s controller.Settings) (seen *recorder, stop func()) {
	t.Helper()
	return c.runLate(t, s, 0)
}

// runLate is run with caches that lag behind: what the controller hears of nodes arrives late.
func (c *cluster) runLate(t *testing.T, s controller.Settings, lag time.Duration) (seen *recorder, stop func()) {
	t.Helper()
	config, err := c.ServiceAccount(t.Context(), namespace, account)
	require.NoError(t, err)
	seen = &recorder{lag: lag}
	config.Wrap(seen.wrap)
	seen.registry = prometheus.NewRegistry()
	metrics, err := controller.NewMetrics(seen.registry)
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(t.Output())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	election := controller.Election{
		Namespace: namespace, Identity: fmt.Sprintf("%s-%p", t.Name(), seen),
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 500 * time.Millisecond,
	}
	go func() {
		done <- controller.Lead(ctx, config, election, log, func(ctx context.Context, held *rest.Config) error {
			return controller.Run(ctx, held, s, metrics, log)
		})
	}()
	var stopped bool
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
			assert.Empty(t, seen.forbidden(), "deploy/ gives the controller every right that it uses")
		}
	}
	t.Cleanup(stop)
	return seen, stop
}

// eventually tries until the assertions hold.
func eventually(t *testing.T, condition func(t *assert.CollectT, ctx context.Context)) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		condition(collect, ctx)
	}, patience, 100*time.Millisecond)
}

// apply applies YAML and returns what the API server says.
func (c *cluster) apply(t *testing.T, yaml string) error {
	t.Helper()
	return c.ApplyYAML(t.Context(), []byte(yaml))
}

// kataConfig applies a KataConfig of this name with a spec in YAML flow style.
func (c *cluster) kataConfig(t *testing.T, name, spec string) {
	t.Helper()
	require.NoError(t, c.apply(t, document(name, spec)))
}

func document(name, spec string) string {
	return fmt.Sprintf("apiVersion: kataconfiguration.openshift.io/v1\nkind: KataConfig\nmetadata: {name: %s}\nspec: %s\n", name, spec)
}

// get returns a KataConfig, nil when there is none.
func (c *cluster) get(ctx context.Context, name string) (*v1.KataConfig, error) {
	object, err := c.dynamic.Resource(v1.GroupVersion().WithResource(v1.Resource)).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // absence is an answer here
	}
	if err != nil {
		return nil, err
	}
	return convert(object)
}

// delete asks for a KataConfig's deletion.
func (c *cluster) delete(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, c.dynamic.Resource(v1.GroupVersion().WithResource(v1.Resource)).Delete(t.Context(), name, metav1.DeleteOptions{}))
}
