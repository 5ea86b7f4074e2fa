// SPDX-License-Identifier: Apache-2.0

// Package policy decides whether the admission policies that deploy/ ships are in force. Without
// them, everybody who may write a Node could name the image that runs as root on it. It is a pure
// function of the objects and of the controller's own account.
package policy

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// The policies of deploy/30-policy-nodes.yaml. Each has a binding of its own.
const (
	ControllerKeys    = "kata-node-controller-keys"
	AgentKeys         = "kata-node-agent-keys"
	ControllerLimits  = "kata-node-controller-limits"
	ControllerClasses = "kata-node-controller-classes"
)

// Problem says why the policies cannot be relied on, for people; it is empty while they can be.
// account is the controller's user name, as the API server knows it.
func Problem(policies []*admissionv1.ValidatingAdmissionPolicy, bindings []*admissionv1.ValidatingAdmissionPolicyBinding, account string) string {
	if missing := Missing(policies, bindings); len(missing) > 0 {
		return fmt.Sprintf("no admission policy %s is in force: apply deploy/30-policy-nodes.yaml, without it others could choose what runs as root on nodes",
			strings.Join(missing, ", "))
	}
	if others := ofOthers(policies, account); len(others) > 0 {
		return fmt.Sprintf("admission policy %s does not name this controller's account %s, so its writes are refused or not limited: put that name into deploy/30-policy-nodes.yaml and apply it",
			strings.Join(others, ", "), account)
	}
	return ""
}

// ofOthers returns the names of policies that are about another account than the controller's: each
// names it in full in a match condition, as text that an overlay with another namespace leaves.
func ofOthers(policies []*admissionv1.ValidatingAdmissionPolicy, account string) []string {
	var others []string
	for _, p := range policies {
		names := slices.ContainsFunc(p.Spec.MatchConditions, func(c admissionv1.MatchCondition) bool {
			return strings.Contains(c.Expression, "'"+account+"'") || strings.Contains(c.Expression, `"`+account+`"`)
		})
		if !names && (p.Name == ControllerKeys || p.Name == ControllerLimits || p.Name == ControllerClasses) {
			others = append(others, p.Name)
		}
	}
	slices.Sort(others)
	return others
}

// Missing returns the names of policies that refuse nothing: they are absent, ignore their own
// failures, or have no binding that denies everywhere.
func Missing(policies []*admissionv1.ValidatingAdmissionPolicy, bindings []*admissionv1.ValidatingAdmissionPolicyBinding) []string {
	var missing []string
	for _, name := range []string{AgentKeys, ControllerClasses, ControllerKeys, ControllerLimits} {
		fails := slices.ContainsFunc(policies, func(p *admissionv1.ValidatingAdmissionPolicy) bool {
			return p.Name == name && p.DeletionTimestamp == nil && len(p.Spec.Validations) > 0 &&
				(p.Spec.FailurePolicy == nil || *p.Spec.FailurePolicy == admissionv1.Fail)
		})
		denies := slices.ContainsFunc(bindings, func(b *admissionv1.ValidatingAdmissionPolicyBinding) bool {
			return b.Spec.PolicyName == name && b.DeletionTimestamp == nil && b.Spec.MatchResources == nil &&
				slices.Contains(b.Spec.ValidationActions, admissionv1.Deny)
		})
		if !fails || !denies {
			missing = append(missing, name)
		}
	}
	return missing
}
