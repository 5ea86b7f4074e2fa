// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// PoolSelector is a label selector whose size is bounded, so that the API server can check every
// key and value before it stores them.
type PoolSelector struct {
	// matchLabels are labels that a node has, each with exactly this value.
	//
	// +optional
	// +nullable
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 317 && k.indexOf('/') <= 253 && k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="matchLabels has a key that no node can carry: write name or domain/name with letters, digits, '-', '_' and '.'"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('node-restriction.kubernetes.io/kata-oc'))",message="matchLabels names a label that the controller sets itself: a selector on it would select and deselect the same nodes for ever, use a label of your own"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`
	// matchExpressions are requirements that a node meets, all of them.
	//
	// +optional
	// +nullable
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []Requirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",message="the label value cannot be on any node: write letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
type LabelValue string

// Requirement is one line of matchExpressions.
//
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",message="values is empty: operators In and NotIn need at least one value"
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || self.values.size() == 0",message="values is not empty: operators Exists and DoesNotExist take none, remove them"
type Requirement struct {
	// key is the label's key.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self.indexOf('/') <= 253 && self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')",message="key is none that a node can carry: write name or domain/name with letters, digits, '-', '_' and '.'"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('node-restriction.kubernetes.io/kata-oc')",message="key is a label that the controller sets itself: a selector on it would select and deselect the same nodes for ever, use a label of your own"
	Key string `json:"key"`
	// operator relates the key to the values.
	//
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	Operator metav1.LabelSelectorOperator `json:"operator"`
	// values are at least one for In and NotIn, and none for Exists and DoesNotExist.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// Selector returns the selector in the form that matches label sets. A nil or empty PoolSelector
// matches every one of them. The error names what the API server would have refused.
func (s *PoolSelector) Selector() (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(s.labelSelector())
	if err != nil {
		return nil, fmt.Errorf("reading kataConfigPoolSelector: %w", err)
	}
	return selector, nil
}

func (s *PoolSelector) labelSelector() *metav1.LabelSelector {
	out := &metav1.LabelSelector{MatchLabels: make(map[string]string, len(s.MatchLabels))}
	for key, value := range s.MatchLabels {
		out.MatchLabels[key] = string(value)
	}
	for _, r := range s.MatchExpressions {
		line := metav1.LabelSelectorRequirement{Key: r.Key, Operator: r.Operator}
		for _, value := range r.Values {
			line.Values = append(line.Values, string(value))
		}
		out.MatchExpressions = append(out.MatchExpressions, line)
	}
	return out
}
