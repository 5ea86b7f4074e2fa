// SPDX-License-Identifier: Apache-2.0

package node

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

// Operated reports whether the machine-config operator manages a node, and why its daemon has given
// up, if it has.
func Operated(annotations map[string]string) (managed bool, complaint string) {
	state, managed := annotations[mcoState]
	if state == mcoDegraded || state == mcoUnreconciled {
		complaint = Line(annotations[mcoReason], maxComplaint)
	}
	return managed, complaint
}

// maxComplaint leaves room for the sentence around it.
const maxComplaint = 240

// MachineState is the key in which the machine-config daemon says what it does.
const MachineState = mcoState

// Busy says what a restart of CRI-O or a reboot would disturb, by a Node's annotations, empty when
// nothing. Nodes without the machine-config operator carry none of its keys.
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
