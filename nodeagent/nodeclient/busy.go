// SPDX-License-Identifier: Apache-2.0

package nodeclient

import "github.com/kata-node/kata-node/api/node"

// Keys of the machine-config daemon on a Node (openshift/machine-config-operator,
// pkg/daemon/constants).
const (
	mcoPrefix        = "machineconfiguration.openshift.io/"
	mcoState         = mcoPrefix + "state"
	mcoReason        = mcoPrefix + "reason"
	mcoCurrent       = mcoPrefix + "currentConfig"
	mcoDesired       = mcoPrefix + "desiredConfig"
	mcoDesiredDrain  = mcoPrefix + "desiredDrain"
	mcoLastDrain     = mcoPrefix + "lastAppliedDrain"
	mcoDone          = "Done"
	mcoDegraded      = "Degraded"
	mcoUnreconciled  = "Unreconcilable"
	busyMachineState = "the machine-config daemon, which is at work on this node"
	stuckMachine     = "the machine-config daemon, which has given up on this node: see its machine config pool"
)

// Busy says what a restart of CRI-O would disturb, empty when nothing. Nodes without the
// machine-config operator carry none of its keys.
func Busy(annotations map[string]string) string {
	state, managed := annotations[mcoState]
	if !managed {
		return ""
	}
	if state == mcoDegraded || state == mcoUnreconciled {
		return stuckMachine
	}
	quiet := state == mcoDone && annotations[mcoCurrent] == annotations[mcoDesired] && annotations[mcoDesiredDrain] == annotations[mcoLastDrain]
	if quiet {
		return ""
	}
	return busyMachineState
}

// operated reports whether the machine-config operator manages a node, and why its daemon has given
// up, if it has.
func operated(annotations map[string]string) (managed bool, complaint string) {
	state, managed := annotations[mcoState]
	if state == mcoDegraded || state == mcoUnreconciled {
		complaint = node.Line(annotations[mcoReason], maxComplaint)
	}
	return managed, complaint
}

// maxComplaint leaves room for the sentence around it.
const maxComplaint = 240
