// SPDX-License-Identifier: Apache-2.0

package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// KataConfig installs Kata Containers on the workers that it selects, and removes it again when it
// is deleted or when they are selected no longer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=kataconfigs,singular=kataconfig,scope=Cluster,shortName=kc
// +kubebuilder:metadata:annotations="kataconfiguration.openshift.io/implementation=kata-node"
// +kubebuilder:printcolumn:name="Total",type=integer,JSONPath=`.status.totalNodesCount`
// +kubebuilder:printcolumn:name="Completed",type=integer,JSONPath=`.status.CompletedNodesCount`
// +kubebuilder:printcolumn:name="InProgress",type=integer,JSONPath=`.status.inProgressNodesCount`
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.waitingNodesCount`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.failedNodesCount`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="KataStatusCompleted")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="KataStatusCompleted")].message`
// +kubebuilder:printcolumn:name="Image",type=string,priority=1,JSONPath=`.status.kataImage`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type KataConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	// +nullable
	Spec KataConfigSpec `json:"spec,omitempty"`
	// +optional
	Status KataConfigStatus `json:"status,omitempty"`
}

// KataConfigList is a list of KataConfigs.
//
// +kubebuilder:object:root=true
type KataConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []KataConfig `json:"items"`
}

// KataConfigSpec is what the administrator wants.
// Its objects may be null: that is what server-side apply makes of one whose last field was taken
// away.
type KataConfigSpec struct {
	// kataConfigPoolSelector chooses among the cluster's workers by their labels. Absent or empty,
	// it chooses all of them.
	//
	// +optional
	// +nullable
	KataConfigPoolSelector *PoolSelector `json:"kataConfigPoolSelector,omitempty"`
	// config tunes the installation. Every field has a working default.
	//
	// +optional
	// +nullable
	Config KataInstallConfig `json:"config,omitempty"`
}

// KataInstallConfig tunes an installation.
type KataInstallConfig struct {
	// payloadImage overrides the automatic choice of the payload. It names an image by digest:
	// registry/repository@sha256:<64 hex digits>.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$')",message="payloadImage does not name an image by digest: write registry/repository@sha256:<64 hex digits>, because a tag does not say what a node will run"
	PayloadImage string `json:"payloadImage,omitempty"`
	// hostPackages says where QEMU and virtiofsd come from: the payload or whatever the node has
	// (Auto), the OS extension, layered packages, or nowhere but the payload (None).
	//
	// +optional
	HostPackages HostPackages `json:"hostPackages,omitempty"`
	// overhead is what one sandbox costs in addition to its containers. It becomes part of
	// RuntimeClass kata-oc.
	//
	// +optional
	// +nullable
	Overhead *Overhead `json:"overhead,omitempty"`
	// tolerations become part of RuntimeClass kata-oc, together with those of every other
	// KataConfig: kata pods get them in addition to their own, so that they can be scheduled to
	// tainted nodes.
	//
	// +optional
	// +nullable
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// runtimeClassAliases are further RuntimeClasses, equal to kata-oc in everything but their
	// name, for tools that look for another one, such as kata. One that another owner has made is
	// left alone, and named in the status. All of them are deleted with the last KataConfig.
	//
	// +optional
	// +nullable
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	RuntimeClassAliases []ClassName `json:"runtimeClassAliases,omitempty"`
	// handlers are further handlers of the payload that the nodes serve in addition to kata-oc,
	// each with RuntimeClass kata-oc-<name>: debug and rs (the shim runtime-rs). A node is complete
	// when it has proved all of them, so the payload has to offer each one.
	//
	// +optional
	// +nullable
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	Handlers []HandlerName `json:"handlers,omitempty"`
	// maxParallel is how many nodes may work on an installation or an update at the same time. The
	// default is 10.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= 1",message="maxParallel is below 1: allow at least one node at a time, or set paused to hold the rollout"
	MaxParallel *int32 `json:"maxParallel,omitempty"`
	// maxUnavailable is how many of the selected nodes may restart CRI-O or reboot at the same
	// time: a number from 1, or a percentage from 1% to 100%, rounded down to at least 1. Nodes
	// that are unavailable for another reason count as far as they exceed it, and all of them
	// before a reboot. The default is 10%.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) != int || (self >= 1 && self <= 2147483647)",message="maxUnavailable is not between 1 and 2147483647: allow at least one node, or set paused to hold the rollout"
	// +kubebuilder:validation:XValidation:rule="type(self) != string || self.matches('^([1-9][0-9]?|100)%$')",message="maxUnavailable is neither a number nor a percentage from 1% to 100%: write 2 or 10%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// maxFailures is how many of the selected nodes may fail before nothing new is started: a
	// number from 1, or a percentage from 1% to 100% of them, at least 3. While no node has proved
	// a payload, at most 3 may fail with it. The default is 10%.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) != int || (self >= 1 && self <= 2147483647)",message="maxFailures is not between 1 and 2147483647: a rollout stops at its first failed node with 1"
	// +kubebuilder:validation:XValidation:rule="type(self) != string || self.matches('^([1-9][0-9]?|100)%$')",message="maxFailures is neither a number nor a percentage from 1% to 100%: write 2 or 10%"
	MaxFailures *intstr.IntOrString `json:"maxFailures,omitempty"`
	// paused holds the rollout: no node is written to until it is false again. Deletion continues
	// regardless.
	//
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// ClassName is the name of a RuntimeClass.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="the alias is no name of a RuntimeClass: write small letters, digits, '-' and '.', beginning and ending with a letter or digit"
// +kubebuilder:validation:XValidation:rule="!self.startsWith('kata-oc')",message="the alias begins with kata-oc: such names are the controller's own, choose another one"
type ClassName string

// HandlerName names a handler of the payload in addition to kata-oc.
//
// +kubebuilder:validation:Enum=debug;rs
type HandlerName string

// HostPackages says where QEMU and virtiofsd come from.
//
// +kubebuilder:validation:Enum=Auto;Extension;Layered;None
type HostPackages string

// Overhead is what one sandbox costs in addition to its containers.
type Overhead struct {
	// podFixed lists cpu, memory and ephemeral-storage.
	//
	// +optional
	// +nullable
	// +kubebuilder:validation:MaxProperties=3
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'])",message="overhead.podFixed names a resource other than cpu, memory and ephemeral-storage: remove it, a sandbox costs nothing else"
	// +kubebuilder:validation:XValidation:rule="self.all(k, type(self[k]) == int ? self[k] >= 0 : !string(self[k]).startsWith('-'))",message="overhead.podFixed has a quantity below zero: write what a sandbox costs, such as cpu: 250m and memory: 350Mi"
	// +kubebuilder:validation:XValidation:rule="self.all(k, type(self[k]) == int || isQuantity(self[k]))",message="overhead.podFixed has something that is no quantity: write what a sandbox costs, such as cpu: 250m and memory: 350Mi"
	// +kubebuilder:validation:XValidation:rule="self.all(k, type(self[k]) == int || !isQuantity(self[k]) || quantity(self[k]).isLessThan(quantity('1Ti')))",message="overhead.podFixed has a quantity of 1Ti or more: write what a sandbox costs, such as cpu: 250m and memory: 350Mi"
	// +kubebuilder:validation:XValidation:rule="!('memory' in self) || (type(self['memory']) == int ? self['memory'] >= 1048576 : !isQuantity(self['memory']) || !quantity(self['memory']).isLessThan(quantity('1Mi')))",message="overhead.podFixed has less than 1Mi of memory: m is a thousandth of a byte, write Mi, such as memory: 350Mi"
	// +kubebuilder:validation:XValidation:rule="!('ephemeral-storage' in self) || (type(self['ephemeral-storage']) == int || !isQuantity(self['ephemeral-storage']) || quantity(self['ephemeral-storage']).isInteger())",message="overhead.podFixed has a fraction of a byte of ephemeral-storage: m is a thousandth of a byte, write Mi"
	// +kubebuilder:validation:XValidation:rule="!('cpu' in self) || (type(self['cpu']) == int ? self['cpu'] < 64 : !isQuantity(self['cpu']) || quantity(self['cpu']).isLessThan(quantity('64')))",message="overhead.podFixed has 64 CPUs or more: a number without m counts whole CPUs, write m, such as cpu: 250m"
	PodFixed corev1.ResourceList `json:"podFixed,omitempty"`
}
