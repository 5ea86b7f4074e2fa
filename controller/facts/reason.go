// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// Reason is one word that a person can look up in docs/status.md.
type Reason string

// Reasons of a whole KataConfig.
const (
	// ReasonPoliciesMissing is a cluster in which every user who may write a Node could name what
	// runs on it as root.
	ReasonPoliciesMissing Reason = "PoliciesMissing"
	// ReasonUnreadable is a stored KataConfig that this program cannot decode.
	ReasonUnreadable Reason = "Unreadable"
	// ReasonInvalidSelector is a stored selector that the API server would refuse today.
	ReasonInvalidSelector Reason = "InvalidSelector"
	// ReasonNoPayload is a KataConfig without payload where the controller has no default.
	ReasonNoPayload Reason = "NoPayload"
	// ReasonCatalogUnreadable is a catalogue that cannot be used; nodes keep to the last good one
	// where the controller has seen one.
	ReasonCatalogUnreadable Reason = "CatalogUnreadable"
	// ReasonPayloadNotAllowed is a payload below none of --allowed-payloads.
	ReasonPayloadNotAllowed Reason = "PayloadNotAllowed"
	// ReasonForeignFinalizer is a KataConfig that another product works on.
	ReasonForeignFinalizer Reason = "ForeignFinalizer"
	// ReasonRuntimeClassConflict is a RuntimeClass of our name, or of that of a further handler,
	// that another product made.
	ReasonRuntimeClassConflict Reason = "RuntimeClassConflict"
	// ReasonRuntimeClassAliasConflict is a RuntimeClass of an alias' name that another owner made.
	ReasonRuntimeClassAliasConflict Reason = "RuntimeClassAliasConflict"
	// ReasonOverlappingSelector is a younger KataConfig that selects nodes of an older one.
	ReasonOverlappingSelector Reason = "OverlappingSelector"
	// ReasonNoMatchingNodes is a selector that matches no worker.
	ReasonNoMatchingNodes Reason = "NoMatchingNodes"
	// ReasonPaused is spec.config.paused.
	ReasonPaused Reason = "Paused"
	// ReasonNodesFailed is at least one failed node.
	ReasonNodesFailed Reason = "NodesFailed"
	// ReasonInstalling is a rollout on its way.
	ReasonInstalling Reason = "Installing"
	// ReasonUpdating is a rollout on its way while other payloads still serve.
	ReasonUpdating Reason = "Updating"
	// ReasonWaiting is a rollout in which no node works at the moment.
	ReasonWaiting Reason = "Waiting"
	// ReasonRemoving is a KataConfig that is being deleted.
	ReasonRemoving Reason = "Removing"
	// ReasonCompleted is the end of it.
	ReasonCompleted Reason = "Completed"
	// ReasonWorkerDefinitionChanged is the end of it, with nodes that are workers no more: they
	// were installed before some other node got the worker's role label.
	ReasonWorkerDefinitionChanged Reason = "WorkerDefinitionChanged"
	// ReasonNoFailure is a Failed condition that is False.
	ReasonNoFailure Reason = "NoFailure"
)

// Reasons of one node.
const (
	// ReasonAgentMissing is a node whose agent has never reported.
	ReasonAgentMissing Reason = "AgentMissing"
	// ReasonAgentNotReporting is an intent that was not answered in time.
	ReasonAgentNotReporting Reason = "AgentNotReporting"
	// ReasonReportUnreadable is a report that this controller does not understand.
	ReasonReportUnreadable Reason = "ReportUnreadable"
	// ReasonProtocolMismatch is an agent that does not understand this controller.
	ReasonProtocolMismatch Reason = "ProtocolMismatch"
	// ReasonHostUnfit is a host that cannot run Kata by its agent's check.
	ReasonHostUnfit Reason = "HostUnfit"
	// ReasonNodeNotReady is a node whose kubelet is not Ready.
	ReasonNodeNotReady Reason = "NodeNotReady"
	// ReasonNodeCordoned is a node that takes no pods.
	ReasonNodeCordoned Reason = "NodeCordoned"
	// ReasonMachineConfigBusy is a node that the machine-config operator works on, or has given up
	// on.
	ReasonMachineConfigBusy Reason = "MachineConfigBusy"
	// ReasonHeld is a node with the annotation that keeps it as it is.
	ReasonHeld Reason = "Held"
	// ReasonAwaitingReboot is a node that waits until it may reboot.
	ReasonAwaitingReboot Reason = "AwaitingReboot"
	// ReasonRebooting is a node that is drained and rebooted.
	ReasonRebooting Reason = "Rebooting"
	// ReasonQueued is a node whose turn has not come.
	ReasonQueued Reason = "Queued"
	// ReasonAwaitingGrant is a node that waits until it may restart CRI-O.
	ReasonAwaitingGrant Reason = "AwaitingGrant"
	// ReasonAwaitingReport is an intent that is not answered yet.
	ReasonAwaitingReport Reason = "AwaitingReport"
	// ReasonAwaitingKubelet is a handler that the kubelet does not list yet.
	ReasonAwaitingKubelet Reason = "AwaitingKubelet"
	// ReasonHandlersNotServed is an agent that serves the payload and does not report the further
	// handlers, as one that is older than this controller.
	ReasonHandlersNotServed Reason = "HandlersNotServed"
	// ReasonAwaitingLabel is a proved node that the scheduler does not know yet.
	ReasonAwaitingLabel Reason = "AwaitingLabel"
	// ReasonRebooted is a report from before the node's last boot.
	ReasonRebooted Reason = "Rebooted"
	// ReasonKataPodsRunning is a removal that bound kata pods hold up.
	ReasonKataPodsRunning Reason = "KataPodsRunning"
	// ReasonNoProgress is a node that answered its intent and has stayed as it is since.
	ReasonNoProgress Reason = "NoProgress"
	// ReasonTooManyFailures is a node whose turn does not come because too many others failed.
	ReasonTooManyFailures Reason = "TooManyFailures"
	// ReasonNoPayloadForVersion is a node for whose version the catalogue has no payload. It keeps
	// what it serves. It is a KataConfig's reason where its nodes fail for nothing else.
	ReasonNoPayloadForVersion Reason = "NoPayloadForVersion"
	// ReasonAgentError is an error that the agent reported.
	ReasonAgentError Reason = "AgentError"
)

// Obstacle says why the node cannot be given new work at this moment, or is empty.
func (n Node) Obstacle() Reason {
	switch {
	case n.ReportProblem != "":
		return ReasonReportUnreadable
	case !n.Ready:
		return ReasonNodeNotReady
	case n.Report == nil:
		return ReasonAgentMissing
	case len(n.Report.Speaks) > 0 && !slices.Contains(n.Report.Speaks, node.Version):
		return ReasonProtocolMismatch
	case n.Held:
		return ReasonHeld
	case n.Busy != "":
		return ReasonMachineConfigBusy
	case n.Cordoned:
		return ReasonNodeCordoned
	default:
		return ""
	}
}
