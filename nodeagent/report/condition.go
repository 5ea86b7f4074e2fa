// SPDX-License-Identifier: Apache-2.0

package report

import "github.com/kata-node/kata-node/api/node"

// Condition is the Node condition that mirrors a report for people; schedulers and controllers do not look at it.
type Condition struct {
	// Present is false for a node on which nothing is installed or wanted: it has no condition at all.
	Present bool
	// Ready is whether new pods are served by a proved payload.
	Ready           bool
	Reason, Message string
}

// MakeCondition returns the condition that belongs to a report.
func MakeCondition(r node.Report, sentence string) Condition {
	c := Condition{Present: r.Phase != node.PhaseIdle || r.Error != nil, Ready: r.Payload != "", Reason: string(r.Phase), Message: sentence}
	if r.HostCheck != "" && r.Phase == node.PhaseInstalling {
		c.Reason = "HostUnfit"
	}
	if r.Error != nil {
		c.Reason = r.Error.Reason
	}
	return c
}
