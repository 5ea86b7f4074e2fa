// SPDX-License-Identifier: Apache-2.0

// Package node is the protocol between the controller and the node agent: two annotations on a
// Node, each one small JSON document with one writer. It decodes, encodes and validates them and
// names every key; it knows no client and imports the standard library only.
package node

// Keys on a Node object and the single writer of each.
const (
	// IntentAnnotation holds the Intent. Writer: the controller.
	IntentAnnotation = "kataconfiguration.openshift.io/intent"
	// ReportAnnotation holds the Report. Writer: the agent on that node, with the kubelet's
	// credential.
	ReportAnnotation = "kataconfiguration.openshift.io/report"
	// CordonAnnotation names the boot in which the agent of that node made it unschedulable, for a
	// reboot. Only a node that carries it is made schedulable again. Writer: the agent.
	CordonAnnotation = "kataconfiguration.openshift.io/cordoned"
	// HoldAnnotation keeps a node as it is: nothing is started on it and nothing is granted to it.
	// Writer: an administrator. Its value is for people.
	HoldAnnotation = "kataconfiguration.openshift.io/hold"
	// ReadyLabel selects nodes that may run kata pods. Writer: the controller. NodeRestriction
	// keeps every kubelet credential from setting labels below node-restriction.kubernetes.io.
	ReadyLabel = "node-restriction.kubernetes.io/kata-oc"
	// ReadyValue is the only value that ReadyLabel, or the label of a further handler, ever has.
	ReadyValue = "true"
	// StartupTaint keeps pods from a new node until Kata is ready there. Writer: whoever makes the
	// node sets it, the controller removes it together with setting ReadyLabel. The prefix is that
	// by which the cluster autoscaler knows taints of nodes that are still starting.
	StartupTaint = "startup-taint.cluster-autoscaler.kubernetes.io/kata-oc"
	// ReadyCondition is the Node condition that mirrors the report for people. Writer: the agent.
	ReadyCondition = "KataRuntimeReady"
)

// Names of the runtime handlers that the agent defines in CRI-O.
const (
	// Handler is what RuntimeClass kata-oc names.
	Handler = "kata-oc"
	// ProofHandler runs the proof sandbox and has no RuntimeClass.
	ProofHandler = "kata-oc-proof"
	// RuntimeClass is the name of the cluster's RuntimeClass.
	RuntimeClass = "kata-oc"
)

// Version is the protocol version that this package writes, and the highest it reads.
const Version = 1
