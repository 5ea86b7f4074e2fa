// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kata-node/kata-node/controller/policy"
)

type (
	policies = []*admissionv1.ValidatingAdmissionPolicy
	bindings = []*admissionv1.ValidatingAdmissionPolicyBinding
)

// shipped are the objects of deploy/.
func shipped(t *testing.T) (p policies, b bindings) {
	t.Helper()
	file, err := os.ReadFile("../../deploy/30-policy-nodes.yaml")
	require.NoError(t, err)
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(file), 4096)
	for {
		object := map[string]any{}
		err := documents.Decode(&object)
		if errors.Is(err, io.EOF) {
			return p, b
		}
		require.NoError(t, err)
		document, err := json.Marshal(object)
		require.NoError(t, err)
		if object["kind"] == "ValidatingAdmissionPolicy" {
			p = append(p, &admissionv1.ValidatingAdmissionPolicy{})
			require.NoError(t, json.Unmarshal(document, p[len(p)-1]))
			continue
		}
		b = append(b, &admissionv1.ValidatingAdmissionPolicyBinding{})
		require.NoError(t, json.Unmarshal(document, b[len(b)-1]))
	}
}

// account is the one that deploy/ creates.
const account = "system:serviceaccount:kata-node:kata-controller"

func TestPoliciesForAnotherAccountAreNamed(t *testing.T) {
	t.Parallel()
	for _, other := range []string{"system:serviceaccount:my-kata:kata-controller", "kubernetes-admin", "kata-controller", ""} {
		p, b := shipped(t)
		problem := policy.Problem(p, b, other)
		assert.Contains(t, problem, policy.ControllerClasses+", "+policy.ControllerKeys+", "+policy.ControllerLimits+" does not name this controller's account "+other)
		assert.NotContains(t, problem, policy.AgentKeys)
		assert.NotContains(t, problem, "is in force", "one problem at a time")
	}
	p, b := shipped(t)
	for _, q := range p {
		for i, c := range q.Spec.MatchConditions {
			q.Spec.MatchConditions[i].Expression = strings.ReplaceAll(c.Expression, account, "system:serviceaccount:my-kata:kata-controller")
		}
	}
	assert.Empty(t, policy.Problem(p, b, "system:serviceaccount:my-kata:kata-controller"), "an overlay that replaces the text")
	assert.Contains(t, policy.Problem(p, b, account), "does not name")
	assert.Contains(t, policy.Problem(p[1:], b, account), "no admission policy "+policy.ControllerKeys+" is in force")
}

func TestWhatIsShippedIsInForce(t *testing.T) {
	t.Parallel()
	p, b := shipped(t)
	require.Len(t, p, 4)
	require.Len(t, b, 4)
	assert.Empty(t, policy.Missing(p, b))
	assert.Empty(t, policy.Problem(p, b, account))
}

func TestWhatRefusesNothingIsMissing(t *testing.T) {
	t.Parallel()
	ignore := admissionv1.Ignore
	for name, weaken := range map[string]func(p policies, b bindings) (policies, bindings){
		"no policy":      func(p policies, b bindings) (policies, bindings) { return p[1:], b },
		"no binding":     func(p policies, b bindings) (policies, bindings) { return p, b[1:] },
		"ignores itself": func(p policies, b bindings) (policies, bindings) { p[0].Spec.FailurePolicy = &ignore; return p, b },
		"only warns": func(p policies, b bindings) (policies, bindings) {
			b[0].Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
			return p, b
		},
		"for some of all": func(p policies, b bindings) (policies, bindings) {
			b[0].Spec.MatchResources = &admissionv1.MatchResources{}
			return p, b
		},
	} {
		p, b := shipped(t)
		assert.Equal(t, []string{policy.ControllerKeys}, policy.Missing(weaken(p, b)), name)
	}
	assert.Len(t, policy.Missing(nil, nil), 4)
}
