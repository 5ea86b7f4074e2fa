// SPDX-License-Identifier: Apache-2.0

// Package facts holds what the controller knows of nodes and KataConfigs, read once from the API
// server's objects. Everything that decides works on these values; nothing here decides or writes.
package facts

import (
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
)

// Node is one Node as far as the controller cares.
type Node struct {
	Name            string
	UID             string
	ResourceVersion string
	Labels          Labels
	// Linux is false only where the node says that it runs something else.
	Linux bool
	// Virtual is true where the node carries the taint that virtual-kubelet gives to its Nodes.
	Virtual bool
	// Starting is true where the node carries the start-up taint. Taints are then those of other
	// keys; without it they are not known.
	Starting bool
	Taints   []corev1.Taint
	// Ready is the kubelet's own condition.
	Ready bool
	// Cordoned is spec.unschedulable.
	Cordoned bool
	// Held is an administrator's annotation.
	Held bool
	// Busy says what else works on the node, such as the machine-config daemon; empty for nothing.
	Busy string
	// BootID is the kubelet's word on the current boot, empty where it has said nothing.
	BootID string
	// StaleSince is when the controller first saw that the report is from before the node's boot;
	// zero while it is not.
	StaleSince time.Time
	// Since is when the controller first saw readiness, intent and report as they are; zero at
	// first sight.
	Since time.Time
	// Runs are the versions that the node says.
	Runs Runs
	// Release is the catalogue's answer for them.
	Release Release
	// Handlers are the kubelet's runtime handlers, empty below Kubernetes 1.31.
	Handlers []string
	// HasIntent is true when the annotation is there, readable or not.
	HasIntent bool
	// Intent is nil when the node has none, or one that cannot be read.
	Intent *node.Intent
	// content is the id of the intent's content, once it was computed.
	content string
	// Report is nil when the node has none, or one that cannot be read.
	Report *node.Report
	// ReportProblem says why the report cannot be read.
	ReportProblem string
}

// OfNode reads a Node. It never fails: what cannot be read becomes a fact too.
func OfNode(n *corev1.Node) Node {
	out := Node{
		Name:            n.Name,
		UID:             string(n.UID),
		ResourceVersion: n.ResourceVersion,
		Labels:          LabelsOf(n.Labels),
		Linux:           isLinux(n),
		Virtual:         slices.ContainsFunc(n.Spec.Taints, virtual),
		Ready:           isReady(n),
		Cordoned:        n.Spec.Unschedulable,
		Busy:            node.Busy(n.Annotations),
		BootID:          n.Status.NodeInfo.BootID,
		Runs:            runs(n),
		Handlers:        handlers(n),
	}
	if out.Starting = slices.ContainsFunc(n.Spec.Taints, startup); out.Starting {
		out.Taints = slices.DeleteFunc(slices.Clone(n.Spec.Taints), startup)
	}
	_, out.Held = n.Annotations[node.HoldAnnotation]
	out.readIntent(n.Annotations)
	out.readReport(n.Annotations)
	return out
}

// Renews is true for a new version of a Node that says nothing new, such as a kubelet's heartbeat.
func (n *Node) Renews(before *Node) bool {
	same := *before
	same.ResourceVersion = n.ResourceVersion
	return reflect.DeepEqual(&same, n)
}

// Reuse makes the Node keep in memory what the version before it has, as far as the two are equal.
// Most versions are heartbeats: while anything keeps the version before, such a new one costs no
// more than its own fields.
func (n *Node) Reuse(before *Node) {
	if n.Renews(before) {
		version := n.ResourceVersion
		*n = *before
		n.ResourceVersion = version
		return
	}
	if reflect.DeepEqual(n.Intent, before.Intent) {
		n.Intent = before.Intent
	}
	if reflect.DeepEqual(n.Report, before.Report) {
		n.Report = before.Report
	}
}

func (n *Node) readIntent(annotations map[string]string) {
	document, found := annotations[node.IntentAnnotation]
	n.HasIntent = found
	if intent, err := node.DecodeIntent(document); found && err == nil {
		n.Intent, n.content = &intent, intent.Identify(n.UID).ID
	}
}

// Content is the id that the content of the intent has on this node, empty without an intent. It
// differs from the id in the intent where that was edited.
func (n Node) Content() string {
	if n.Intent != nil && n.content == "" {
		return n.Intent.Identify(n.UID).ID
	}
	return n.content
}

func (n *Node) readReport(annotations map[string]string) {
	document, found := annotations[node.ReportAnnotation]
	if !found {
		return
	}
	report, err := node.DecodeReport(document)
	if err != nil {
		n.ReportProblem = node.Sentence(err.Error())
		return
	}
	n.Report = &report
}

// Labelled is true when the node carries the ready label.
func (n Node) Labelled() bool {
	return n.Labels.Get(node.ReadyLabel) != ""
}

// Available is true when the node takes ordinary pods.
func (n Node) Available() bool {
	return n.Ready && !n.Cordoned
}

// Answered is true when the report is about the intent that the node has.
func (n Node) Answered() bool {
	return n.Intent != nil && n.Report != nil && n.Report.IntentID == n.Intent.ID
}

// Settled is true when the agent has reported that the intent's payload serves new pods, and that
// nothing is wrong. A payload that serves on a node with an error is no evidence for other nodes.
func (n Node) Settled() bool {
	return n.Serves() && n.Report.Error == nil && n.Report.HostCheck == ""
}

// Serves is true when the agent has reported that the intent's payload serves new pods, whatever
// else it reports. The phase alone is not believed: an agent that cannot follow an intent may
// report what an older one made.
func (n Node) Serves() bool {
	return n.Answered() && n.Report.Phase == node.PhaseInstalled && n.Report.Payload == node.Digest(n.Intent.Payload)
}

// AsksReboot is true when the agent waits for a grant to reboot that its intent does not have for
// this boot.
func (n Node) AsksReboot() bool {
	return n.Answered() && n.Intent.State == node.StateInstalled && n.Report.RebootRequired && n.SameBoot() && n.Intent.Grants.Reboot != n.Report.BootID
}

// AsksRestart is true when the agent waits for a grant to restart CRI-O that its intent does not
// have for this boot.
func (n Node) AsksRestart() bool {
	return n.Answered() && n.Report.Phase == node.PhaseAwaitingGrant && n.Intent.Grants.RestartCRIO != n.Report.BootID
}

// Installation is true when the report speaks of something on the node that would have to be
// removed.
func (n Node) Installation() bool {
	return n.Report != nil && n.Report.Phase != node.PhaseIdle && n.Report.Phase != node.PhaseAbsent
}

// Draws is true for a node with an agent that kata pods may be bound to: it is labelled, or reports
// an installation, which others may have taken the label from. A report that cannot be read is one
// of an agent, too.
func (n Node) Draws() bool {
	return n.Installation() || n.Labelled() && (n.Report != nil || n.ReportProblem != "")
}

// HandlerServed is true when the kubelet lists the handler, or is too old to list any.
func (n Node) HandlerServed() bool { return n.lists(node.Handler) }

func (n Node) lists(handler string) bool {
	return len(n.Handlers) == 0 || slices.Contains(n.Handlers, handler)
}

// SameBoot is false when kubelet and agent name different boots: the report is from before a
// reboot.
func (n Node) SameBoot() bool {
	return n.BootID == "" || n.Report == nil || n.InBoot(n.Report.BootID)
}

// InBoot is true when the kubelet names that boot as the current one.
func (n Node) InBoot(id string) bool { return n.BootID == id || plain(n.BootID) == plain(id) }

// plain removes what distinguishes the two usual spellings of a boot id.
func plain(bootID string) string {
	return strings.ToLower(strings.ReplaceAll(bootID, "-", ""))
}

func isLinux(n *corev1.Node) bool {
	os := n.Labels[corev1.LabelOSStable]
	if os == "" {
		os = n.Status.NodeInfo.OperatingSystem
	}
	return os == "" || os == string(corev1.Linux)
}

// virtual is true for virtual-kubelet's taint, whatever provider its value names.
func virtual(t corev1.Taint) bool { return t.Key == "virtual-kubelet.io/provider" }

func startup(t corev1.Taint) bool { return t.Key == node.StartupTaint }

func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func handlers(n *corev1.Node) []string {
	var names []string
	for _, h := range n.Status.RuntimeHandlers {
		if h.Name != "" {
			names = append(names, h.Name)
		}
	}
	return names
}
