// SPDX-License-Identifier: Apache-2.0

package report

import (
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
)

// MakeCondition returns the condition that belongs to a report.
func MakeCondition(r node.Report, sentence string) cluster.Condition {
	c := cluster.Condition{Present: r.Phase != node.PhaseIdle || r.Error != nil, Ready: r.Payload != "", Reason: string(r.Phase), Message: sentence}
	if r.HostCheck != "" && r.Phase == node.PhaseInstalling {
		c.Reason = node.ReasonHostUnfit
	}
	if r.Error != nil {
		c.Reason = r.Error.Reason
	}
	return c
}
