// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed"
)

// kubectl runs kubectl as the administrator and returns what it prints.
func (c *cluster) kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	programs, err := c.workspace.Build(t.Context(), os.Stderr, bed.BuildOptions{Only: []string{"kubectl"}})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), programs.Path("kubectl"), append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// overlay writes a kustomization and returns its directory. What it has in place of DEPLOY is the
// way to deploy/, which kustomize wants relative.
func (c *cluster) overlay(t *testing.T, kustomization string) string {
	t.Helper()
	dir := t.TempDir()
	deploy, err := filepath.Rel(dir, c.workspace.Path("deploy"))
	require.NoError(t, err)
	content := strings.ReplaceAll(kustomization, "DEPLOY", deploy)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600))
	return dir
}

// The types of the Prometheus operator are not served here; test/alerts reads their objects.
const prometheusOperator = "apiVersion: monitoring.coreos.com/v1"

func TestEveryComponentOfDeployIsTaken(t *testing.T) {
	t.Parallel()
	c := control(t)
	dir := c.overlay(t, "resources: [DEPLOY]\ncomponents: [DEPLOY/monitoring, DEPLOY/network-policy, DEPLOY/standby]\n")
	var served []string
	foreign := 0
	for document := range strings.SplitSeq(c.kubectl(t, "", "kustomize", dir), "\n---\n") {
		if strings.HasPrefix(document, prometheusOperator) {
			foreign++
			continue
		}
		served = append(served, document)
	}
	assert.Equal(t, 2, foreign, "ServiceMonitor and PrometheusRule")
	c.kubectl(t, strings.Join(served, "\n---\n"), "apply", "-f", "-")

	said := c.kubectl(t, "", "-n", namespace, "get", "service/kata-controller", "networkpolicy/kata-controller", "poddisruptionbudget/kata-controller", "configmap/kata-dashboard", "-o", "name")
	assert.Len(t, strings.Fields(said), 4)
	deployment, err := c.kube.AppsV1().Deployments(namespace).Get(t.Context(), account, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, int32(2), *deployment.Spec.Replicas)
	podSecurity(t, c, deployment)
	c.selectsPods(t, deployment.Spec.Template.Labels)
}

// selectsPods holds the selectors of the components against the labels of the controller's pods.
func (c *cluster) selectsPods(t *testing.T, labels map[string]string) {
	t.Helper()
	service, err := c.kube.CoreV1().Services(namespace).Get(t.Context(), account, metav1.GetOptions{})
	require.NoError(t, err)
	closed, err := c.kube.NetworkingV1().NetworkPolicies(namespace).Get(t.Context(), account, metav1.GetOptions{})
	require.NoError(t, err)
	budget, err := c.kube.PolicyV1().PodDisruptionBudgets(namespace).Get(t.Context(), account, metav1.GetOptions{})
	require.NoError(t, err)
	for _, selector := range []map[string]string{service.Spec.Selector, closed.Spec.PodSelector.MatchLabels, budget.Spec.Selector.MatchLabels} {
		assert.NotEmpty(t, selector)
		for key, value := range selector {
			assert.Equal(t, value, labels[key])
		}
	}
	space, err := c.kube.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "true", space.Labels["openshift.io/cluster-monitoring"])
	dashboard, err := c.kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), "kata-dashboard", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, dashboard.Data, "dashboard.json")
}
