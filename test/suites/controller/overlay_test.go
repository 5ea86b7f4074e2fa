// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// runAs runs the controller as leader in any namespace, with any service account there.
func (c *cluster) runAs(t *testing.T, space, name string) *recorder {
	t.Helper()
	config, err := c.ServiceAccount(t.Context(), space, name)
	require.NoError(t, err)
	seen := &recorder{registry: prometheus.NewRegistry()}
	config.Wrap(seen.wrap)
	metrics, err := controller.NewMetrics(seen.registry)
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(t.Output())
	s := settings()
	s.Namespace = space
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	election := controller.Election{Namespace: space, Identity: t.Name(), LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 500 * time.Millisecond}
	go func() {
		done <- controller.Lead(ctx, config, election, log, func(ctx context.Context, held *rest.Config) error {
			return controller.Run(ctx, held, s, metrics, log)
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return seen
}

// documented is the overlay of docs/operations.md.
func (c *cluster) documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(c.workspace.Path("docs", "operations.md"))
	require.NoError(t, err)
	example := regexp.MustCompile("(?s)\\*\\*Another namespace\\.\\*\\*.*?```yaml\n(.*?)```").FindSubmatch(text)
	require.Len(t, example, 2)
	return strings.ReplaceAll(string(example[1]), "<path to>/deploy", "DEPLOY")
}

func TestTheDocumentedOverlayWorksInAnotherNamespace(t *testing.T) {
	t.Parallel()
	c := control(t)
	c.kubectl(t, "", "apply", "-k", c.overlay(t, c.documented(t)))
	c.movesComponents(t)
	seen := c.runAs(t, "kata-elsewhere", account)
	c.kataConfig(t, "kata", "{}")
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		events, err := c.kube.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		if assert.NoError(t, err) {
			assert.NotEmpty(t, events.Items)
		}
	})
	c.delete(t, "kata")
	w.removes(t)
	c.awaitGone(t, "kata")
	assert.Empty(t, seen.forbidden())
}

// movesComponents adds all components to the documented overlay, which takes them along and leaves
// others' objects where they are.
func (c *cluster) movesComponents(t *testing.T) {
	t.Helper()
	dir := c.overlay(t, c.documented(t)+"components: [DEPLOY/monitoring, DEPLOY/network-policy, DEPLOY/standby]\n")
	built := c.kubectl(t, "", "kustomize", dir)
	for document := range strings.SplitSeq(built, "---\n") {
		for _, kind := range []string{"Service", "ServiceMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap", "Deployment"} {
			if strings.Contains(document, "\nkind: "+kind+"\n") {
				assert.Contains(t, document, "\n  namespace: kata-elsewhere\n", kind)
			}
		}
		if strings.Contains(document, "name: prometheus-k8s") {
			assert.Contains(t, document, "namespace: openshift-monitoring", "the subject of the binding is OpenShift's")
		}
	}
	assert.Contains(t, built, "openshift.io/cluster-monitoring")
	for _, kind := range []string{"ServiceMonitor", "PrometheusRule"} {
		assert.Contains(t, built, "kind: "+kind+"\n")
	}
	assert.NotContains(t, strings.ReplaceAll(built, "kata-node/kata-node", ""), "namespace: kata-node")
}

func TestOverlaysThatPoliciesDoNotFollowAreRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for name, overlay := range map[string]struct{ kustomization, space, account, says string }{
		"namespace": {
			"resources: [DEPLOY]\nnamespace: elsewhere\n", "elsewhere", account,
			"does not name this controller's account system:serviceaccount:elsewhere:kata-controller",
		},
		"prefix": {
			"resources: [DEPLOY]\nnamePrefix: my-\n", namespace, "my-" + account,
			"no admission policy kata-node-",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := control(t)
			c.kubectl(t, "", "apply", "-k", c.overlay(t, overlay.kustomization))
			seen := c.runAs(t, overlay.space, overlay.account)
			w := c.worker(t, "w")
			w.reports(t, node.PhaseIdle)
			c.kataConfig(t, "kata", "{}")
			kc := c.awaitCounts(t, "kata", "0/0/1/0 of 1 PoliciesMissing")
			assert.Contains(t, kc.Status.Conditions[2].Message, overlay.says)
			assert.Zero(t, seen.nodeWrites("w"))
		})
	}
}
