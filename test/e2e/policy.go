// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// frameworkLabel is on each namespace that the framework of the tests makes.
const frameworkLabel = "e2e-framework"

// setDefaultClass gives pods of the tests a RuntimeClass. Left out are those that name one, and
// those that share a namespace of the host, which no virtual machine can.
func setDefaultClass(ctx context.Context, client kubernetes.Interface, class string) error {
	patch, err := classPatch(ctx, client, class)
	if err != nil {
		return fmt.Errorf("making RuntimeClass %q the default: %w", class, err)
	}
	policies := client.AdmissionregistrationV1()
	name, rule := metav1.ObjectMeta{Name: "default-class"}, admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: name, Spec: admissionv1.MutatingAdmissionPolicySpec{
		ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: frameworkLabel, Operator: metav1.LabelSelectorOpExists}}},
			ResourceRules:     []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{admissionv1.Create}, Rule: rule}}},
		},
		MatchConditions: []admissionv1.MatchCondition{{
			Name:       "ordinary",
			Expression: "!has(object.spec.runtimeClassName) && !(object.spec.?hostNetwork.orValue(false) || object.spec.?hostPID.orValue(false) || object.spec.?hostIPC.orValue(false))",
		}},
		Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: patch}}},
	}}
	if _, err := policies.MutatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: name, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name}}
	if _, err := policies.MutatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return err
	}
	return awaitDefaultClass(ctx, client, class)
}

// classPatch sets the class and what it brings along. The API server does so itself for a pod that
// names a class, but before it comes to policies.
func classPatch(ctx context.Context, client kubernetes.Interface, class string) (string, error) {
	object, err := client.NodeV1().RuntimeClasses().Get(ctx, class, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	patch := fmt.Sprintf(`JSONPatch{op: "add", path: "/spec/runtimeClassName", value: %q}`, class)
	if object.Overhead != nil {
		overhead, err := json.Marshal(object.Overhead.PodFixed)
		if err != nil {
			return "", err
		}
		patch += fmt.Sprintf(`, JSONPatch{op: "add", path: "/spec/overhead", value: %s}`, overhead)
	}
	return "[" + patch + "]", nil
}

// awaitDefaultClass returns when the API server has read the policy.
func awaitDefaultClass(ctx context.Context, client kubernetes.Interface, class string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default-class", Labels: map[string]string{frameworkLabel: "default-class"}}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "trial"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		created, err := client.CoreV1().Pods(namespace.Name).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		last = err
		return err == nil && created.Spec.RuntimeClassName != nil && *created.Spec.RuntimeClassName == class, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until pods get RuntimeClass %q: %w; the last pod was refused with: %w", class, err, last)
	}
	return client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{})
}
