// SPDX-License-Identifier: Apache-2.0

// Package policy decides whether the admission policies that deploy/ ships are in force. Without
// them, everybody who may write a Node could name the image that runs as root on it. It is a pure
// function of the objects.
package policy

import (
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// The policies of deploy/30-policy-nodes.yaml. Each has a binding of its own.
const (
	ControllerKeys   = "kata-node-controller-keys"
	AgentKeys        = "kata-node-agent-keys"
	ControllerLimits = "kata-node-controller-limits"
)

// Missing returns the names of policies that refuse nothing: they are absent, ignore their own
// failures, or have no binding that denies everywhere.
func Missing(policies []*admissionv1.ValidatingAdmissionPolicy, bindings []*admissionv1.ValidatingAdmissionPolicyBinding) []string {
	var missing []string
	for _, name := range []string{AgentKeys, ControllerKeys, ControllerLimits} {
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
