// SPDX-License-Identifier: Apache-2.0

// Package floor_test compiles the expressions in deploy/ as the oldest supported Kubernetes does.
package floor_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	sigsyaml "sigs.k8s.io/yaml"
)

// floor has the libraries that Kubernetes 1.30 takes new expressions with: those of the version
// before it.
func floor() *environment.EnvSet { return environment.MustBaseEnvSet(version.MajorMinor(1, 29)) }

// documents calls read with every document of a file in deploy/.
func documents(t *testing.T, name string, read func(document []byte)) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", name))
	require.NoError(t, err)
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		read(document)
	}
}

func TestTheExpressionsOfPoliciesCompileInKubernetes130(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"30-policy-nodes.yaml": 4, "policy/users.yaml": 1, "policy/namespaces.yaml": 2} {
		policies := 0
		documents(t, name, func(document []byte) {
			var p admissionv1.ValidatingAdmissionPolicy
			if err := sigsyaml.UnmarshalStrict(document, &p); err != nil || p.Kind != "ValidatingAdmissionPolicy" {
				return
			}
			policies++
			compilePolicy(t, p)
		})
		assert.Equal(t, want, policies, name)
	}
}

func compilePolicy(t *testing.T, p admissionv1.ValidatingAdmissionPolicy) {
	t.Helper()
	compiler, err := cel.NewCompositedCompiler(floor())
	require.NoError(t, err)
	declared := cel.OptionalVariableDeclarations{HasAuthorizer: true, HasParams: p.Spec.ParamKind != nil}
	compiles := func(expression cel.ExpressionAccessor, declared cel.OptionalVariableDeclarations) {
		result := compiler.CompileCELExpression(expression, declared, environment.NewExpressions)
		assert.Nil(t, result.Error, "%s: %s", p.Name, expression.GetExpression())
	}
	for _, v := range p.Spec.Variables {
		result := compiler.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression}, declared, environment.NewExpressions)
		assert.Nil(t, result.Error, "%s: %s", p.Name, v.Name)
	}
	for _, m := range p.Spec.MatchConditions {
		compiles(&matchconditions.MatchCondition{Name: m.Name, Expression: m.Expression}, declared)
	}
	for _, v := range p.Spec.Validations {
		compiles(&validating.ValidationCondition{Expression: v.Expression}, declared)
		if v.MessageExpression != "" {
			compiles(&validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}, cel.OptionalVariableDeclarations{HasParams: declared.HasParams})
		}
	}
}

// TestPoliciesForPodsAreOffUntilTheyAreBound looks into what an administrator applies first.
func TestPoliciesForPodsAreOffUntilTheyAreBound(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"users.yaml", "namespaces.yaml", "default-class.yaml"} {
		documents(t, "policy/"+name, func(document []byte) { assert.NotContains(t, string(document), "PolicyBinding") })
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "policy", "kustomization.yaml"))
	require.NoError(t, err)
	assert.NotContains(t, string(content), "bind-")
}

// What came with 1.31 does not compile, so the other tests here would notice it.
func TestNewerExpressionsDoNotCompile(t *testing.T) {
	t.Parallel()
	newer := &validating.ValidationCondition{Expression: "!format.dns1123Label().validate('x').hasValue()"}
	for minor, compiles := range map[uint]bool{29: false, 31: true} {
		compiler := cel.NewCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, minor)))
		result := compiler.CompileCELExpression(newer, cel.OptionalVariableDeclarations{}, environment.NewExpressions)
		assert.Equal(t, compiles, result.Error == nil, "1.%d: %v", minor, result.Error)
	}
}

func TestTheRulesOfTheCRDCompileInKubernetes130(t *testing.T) {
	t.Parallel()
	rules := 0
	documents(t, "10-crd.yaml", func(document []byte) {
		var crd apiextensionsv1.CustomResourceDefinition
		require.NoError(t, sigsyaml.UnmarshalStrict(document, &crd))
		for _, v := range crd.Spec.Versions {
			var props apiextensions.JSONSchemaProps
			require.NoError(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil))
			root, err := schema.NewStructural(&props)
			require.NoError(t, err)
			rules += compileRules(t, root, true, crd.Name)
		}
	})
	assert.Positive(t, rules)
}

// compileRules compiles those of a schema and of everything in it, and returns how many there are.
func compileRules(t *testing.T, s *schema.Structural, root bool, path string) int {
	t.Helper()
	results, err := schemacel.Compile(s, model.SchemaDeclType(s, root), celconfig.PerCallLimit, floor(), schemacel.NewExpressionsEnvLoader())
	require.NoError(t, err, path)
	for i, r := range results {
		assert.Nil(t, r.Error, "%s: %s", path, s.XValidations[i].Rule)
		assert.Nil(t, r.MessageExpressionError, "%s: %s", path, s.XValidations[i].MessageExpression)
	}
	rules := len(results)
	for name, property := range s.Properties {
		rules += compileRules(t, &property, false, path+"."+name)
	}
	if s.Items != nil {
		rules += compileRules(t, s.Items, false, path+"[]")
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		rules += compileRules(t, s.AdditionalProperties.Structural, false, path+"{}")
	}
	return rules
}
