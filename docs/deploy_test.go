// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// manifest is as much of an object of deploy/ as has rights in it.
type manifest struct {
	Kind  string
	Rules []struct {
		Groups    []string `yaml:"apiGroups"`
		Resources []string
		Verbs     []string
		URLs      []string `yaml:"nonResourceURLs"`
	}
}

// manifests calls see with each object below deploy/.
func manifests(t *testing.T, see func(path string, m manifest)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../deploy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
			var m manifest
			if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if m.Kind != "" { // Such as a file that begins with a line of three dashes.
				see(path, m)
			}
		}
	}))
}

// shippedKinds are all that deploy/ has: no webhook, no Secret, no pod on every node, nothing of
// the machine-config operator and no SecurityContextConstraints.
func shippedKinds() []string {
	return []string{
		"Namespace", "ServiceAccount", "Deployment", "Service", "ConfigMap", "CustomResourceDefinition", "KataConfig",
		"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
		"NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor", "PrometheusRule", "Kustomization", "Component",
	}
}

// powerful are resources that give whoever reads or writes them more than Kata needs.
func powerful() []string {
	return []string{"secrets", "machineconfigs", "machineconfigpools", "securitycontextconstraints", "daemonsets", "deployments", "namespaces", "serviceaccounts", "rolebindings", "clusterrolebindings"}
}

func TestNothingThatIsShippedHasMoreRightsThanItNeeds(t *testing.T) {
	t.Parallel()
	rules := 0
	manifests(t, func(path string, m manifest) {
		assert.Contains(t, shippedKinds(), m.Kind, path)
		for _, rule := range m.Rules {
			rules++
			for _, word := range slices.Concat(rule.Groups, rule.Resources, rule.Verbs) {
				assert.NotContains(t, word, "*", path)
			}
			assert.Empty(t, rule.URLs, path)
			for _, verb := range []string{"impersonate", "escalate", "bind", "deletecollection"} {
				assert.NotContains(t, rule.Verbs, verb, path)
			}
			for _, resource := range rule.Resources {
				whole, subresource, _ := strings.Cut(resource, "/")
				assert.NotContains(t, powerful(), whole, path)
				assert.NotContains(t, []string{"exec", "attach", "portforward", "proxy", "token", "eviction"}, subresource, path)
			}
		}
	})
	assert.Greater(t, rules, 10)
	deployment, err := os.ReadFile("../deploy/40-deployment.yaml")
	require.NoError(t, err)
	for _, host := range []string{"hostPath", "hostNetwork", "hostPID", "hostIPC", "hostPort", "privileged"} {
		assert.NotContains(t, string(deployment), host)
	}
}
