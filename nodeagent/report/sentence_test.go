// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

func TestSentence(t *testing.T) {
	t.Parallel()
	served := node.Report{Phase: node.PhaseInstalled, Payload: digest("a"), PayloadVersion: "1.1"}
	failed := served
	unguarded := served
	unguarded.Unguarded = true
	failed.Error = &node.Error{Message: `pulling payload "x": no route to host`}
	for want, c := range map[string]struct {
		r           node.Report
		wait, older string
	}{
		"nothing is installed and nothing is wanted: no KataConfig selects this node":              {r: node.Report{Phase: node.PhaseIdle}},
		"installing; no payload serves":                                                            {r: node.Report{Phase: node.PhaseInstalling}},
		"waiting for CRI-O to run; no payload serves":                                              {r: node.Report{Phase: node.PhaseInstalling}, wait: "CRI-O to run"},
		"payload 1.1 (sha256:aaaaaaaaaaaa) serves new pods":                                        {r: served},
		"payload 1.1 (sha256:aaaaaaaaaaaa) serves new pods; running sandboxes hold 1 older":        {r: served, older: "running sandboxes hold 1 older"},
		`pulling payload "x": no route to host; payload 1.1 (sha256:aaaaaaaaaaaa) serves new pods`: {r: failed, wait: "anything"},
		"payload 1.1 (sha256:aaaaaaaaaaaa) serves new pods; the admission policies of deploy/ are not in force: whoever may write Nodes decides what this node runs": {r: unguarded},
		"removing; no payload serves": {r: node.Report{Phase: node.PhaseRemoving}},
		"everything is removed":       {r: node.Report{Phase: node.PhaseAbsent}},
	} {
		assert.Equal(t, want, report.Sentence(c.r, plan.Plan{Wait: c.wait, Older: c.older}))
	}
	assert.Equal(t, "nothing is installed and nothing is wanted: there is no intent file", report.Sentence(node.Report{Phase: node.PhaseIdle}, plan.Plan{Alone: true}))
}

func TestANoticeIsPartOfTheSentence(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "everything is removed; look at this", report.Sentence(node.Report{Phase: node.PhaseAbsent}, plan.Plan{Notice: "look at this"}))
}

func TestReasonIsAStepsFailureAsOneWord(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "PullPayloadFailed", report.Reason(plan.Pull))
	assert.Equal(t, "WriteDropInFailed", report.Reason(plan.WriteDropIn))
	assert.Equal(t, "RestartCRIOFailed", report.Reason(plan.RestartCRIO))
}

func TestCondition(t *testing.T) {
	t.Parallel()
	problem := &node.Error{Reason: "PullPayloadFailed"}
	for name, c := range map[string]struct {
		r    node.Report
		want cluster.Condition
	}{
		"idle nodes have none":   {node.Report{Phase: node.PhaseIdle}, cluster.Condition{Reason: "Idle", Message: "s"}},
		"unless they have error": {node.Report{Phase: node.PhaseIdle, Error: problem}, cluster.Condition{Present: true, Reason: "PullPayloadFailed", Message: "s"}},
		"on the way":             {node.Report{Phase: node.PhaseInstalling}, cluster.Condition{Present: true, Reason: "Installing", Message: "s"}},
		"serving":                {node.Report{Phase: node.PhaseInstalled, Payload: "p"}, cluster.Condition{Present: true, Ready: true, Reason: "Installed", Message: "s"}},
		"serving the old one while the new one fails": {
			node.Report{Phase: node.PhaseInstalling, Payload: "p", Error: problem},
			cluster.Condition{Present: true, Ready: true, Reason: "PullPayloadFailed", Message: "s"},
		},
	} {
		assert.Equal(t, c.want, report.MakeCondition(c.r, "s"), name)
	}
}
