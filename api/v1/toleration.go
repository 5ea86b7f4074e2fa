// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
)

// Toleration is a taint that kata pods tolerate. It is narrower than a pod's, so that the API
// server never refuses a RuntimeClass that is made of it.
//
// +kubebuilder:validation:XValidation:rule="has(self.key) && self.key.size() > 0 || has(self.operator) && self.operator == 'Exists'",message="key is empty: name the taint's key, or tolerate every taint with operator Exists"
// +kubebuilder:validation:XValidation:rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value.size() == 0",message="value is not empty: operator Exists takes none, remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",message="tolerationSeconds needs effect NoExecute: no other taint ends pods, remove it"
type Toleration struct {
	// key is the taint's key. Empty, it stands for every key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self.matches('^(([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$')",message="key is none that a taint can have: write name or domain/name with letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`
	// operator relates the key to the value: Equal, the default, or Exists for every value.
	//
	// +optional
	// +kubebuilder:validation:Enum=Exists;Equal
	Operator corev1.TolerationOperator `json:"operator,omitempty"`
	// value is the taint's value.
	//
	// +optional
	Value LabelValue `json:"value,omitempty"`
	// effect is the taint's effect. Absent, it stands for every effect.
	//
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect,omitempty"`
	// tolerationSeconds is how long a pod stays on a node after it got the taint. Absent, it stays.
	//
	// +optional
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// Core returns the toleration as pods have it, the same for every way to write it.
func (t Toleration) Core() corev1.Toleration {
	return corev1.Toleration{
		Key:               t.Key,
		Operator:          cmp.Or(t.Operator, corev1.TolerationOpEqual),
		Value:             string(t.Value),
		Effect:            t.Effect,
		TolerationSeconds: t.TolerationSeconds,
	}
}
