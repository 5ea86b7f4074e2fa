// SPDX-License-Identifier: Apache-2.0

package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition types. All three are always present; docs/status.md has their truth table.
const (
	// ConditionInProgress is True while work is left that goes on by itself.
	ConditionInProgress = "KataStatusInProgress"
	// ConditionCompleted is True when every selected node serves the wanted payload, by proof.
	ConditionCompleted = "KataStatusCompleted"
	// ConditionFailed is True when something needs a person.
	ConditionFailed = "KataStatusFailed"
)

// MaxStatusBytes bounds the whole status in its JSON form, whatever nodes, their agents and other
// KataConfigs say: the API server refuses an object of 1.5 MiB, and everybody who watches gets it
// whole at each write.
const MaxStatusBytes = 32 << 10

// MaxPayloads bounds status.payloads: nodes may report any digest.
const MaxPayloads = 20

// MaxFailedNodes bounds status.failedNodes, together with MaxStatusBytes.
const MaxFailedNodes = 50

// KataConfigStatus is what the controller knows. Every count holds at the same moment, and
// totalNodesCount = CompletedNodesCount + inProgressNodesCount + waitingNodesCount +
// failedNodesCount.
type KataConfigStatus struct {
	// runtimeClassName is what pods put into spec.runtimeClassName.
	//
	// +optional
	RuntimeClassName string `json:"runtimeClassName,omitempty"`
	// kataImage is the payload that nodes are brought to; where the catalogue decides, the one for the
	// newest version that any of them runs.
	//
	// +optional
	KataImage string `json:"kataImage,omitempty"`
	// payloads lists what nodes serve to new pods at this moment, more than one entry while versions
	// are mixed, at most 20; those on most nodes come first.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Payloads []PayloadStatus `json:"payloads"`
	// overhead is what RuntimeClass kata-oc charges for a sandbox: the largest of every KataConfig,
	// resource by resource.
	//
	// +optional
	Overhead corev1.ResourceList `json:"overhead,omitempty"`
	// totalNodesCount counts the nodes that belong to this KataConfig, including those that Kata is
	// still being removed from.
	//
	// +optional
	TotalNodesCount int32 `json:"totalNodesCount"`
	// CompletedNodesCount counts the nodes that serve the wanted payload, by proof.
	//
	// +optional
	CompletedNodesCount int32 `json:"CompletedNodesCount"`
	// inProgressNodesCount counts the nodes that are working.
	//
	// +optional
	InProgressNodesCount int32 `json:"inProgressNodesCount"`
	// waitingNodesCount counts the nodes that wait: for their turn, their agent, a restart of CRI-O,
	// or the end of pods.
	//
	// +optional
	WaitingNodesCount int32 `json:"waitingNodesCount"`
	// failedNodesCount counts the nodes that need a person.
	//
	// +optional
	FailedNodesCount int32 `json:"failedNodesCount"`
	// failedNodes names the first 50 of them, by name, and what each says; fewer where names are very
	// long.
	//
	// +optional
	// +listType=atomic
	FailedNodes []FailedNode `json:"failedNodes"`
	// waiting sums up by reason why nodes wait.
	//
	// +optional
	// +listType=atomic
	Waiting []WaitingNodes `json:"waiting"`
	// conflicts names KataConfigs that select some of the same nodes. The older one owns them.
	//
	// +optional
	// +listType=atomic
	Conflicts []Conflict `json:"conflicts"`
	// observedGeneration is the generation of the spec that this status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are KataStatusInProgress, KataStatusCompleted and KataStatusFailed.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions"`
}

// PayloadStatus is how many nodes serve one payload.
type PayloadStatus struct {
	// image is the payload by digest; the digest alone where its repository is not known any more.
	Image string `json:"image"`
	// nodes counts those that serve it.
	Nodes int32 `json:"nodes"`
}

// FailedNode is a node that needs a person.
type FailedNode struct {
	// name is the node's.
	Name string `json:"name"`
	// error is one sentence that says what went wrong.
	Error string `json:"error"`
}

// WaitingNodes are the nodes that wait for the same reason.
type WaitingNodes struct {
	// reason is one word.
	Reason string `json:"reason"`
	// message says what they wait for, and names the first of them.
	Message string `json:"message"`
	// nodes counts them.
	Nodes int32 `json:"nodes"`
}

// Conflict is an overlap with another KataConfig.
type Conflict struct {
	// kataConfig is the other one's name.
	KataConfig string `json:"kataConfig"`
	// owns is true when the nodes belong to this KataConfig, false when they belong to the other one.
	Owns bool `json:"owns"`
	// nodesCount counts the nodes that both select.
	NodesCount int32 `json:"nodesCount"`
	// nodes names the first of them.
	//
	// +listType=atomic
	Nodes []string `json:"nodes"`
}
