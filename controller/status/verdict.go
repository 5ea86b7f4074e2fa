// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// Class is the one count that a node is in.
type Class int

// The classes. Every node of a pool is in exactly one, so that the counts add up by construction.
const (
	Waiting Class = iota
	InProgress
	Completed
	Failed
)

// Verdict is what is said of one node.
type Verdict struct {
	Class  Class
	Reason facts.Reason
	// Sentence is for people, and only filled where Class is Failed or the reason needs one.
	Sentence string
	// Until is when the verdict changes although nothing is written; zero if it does not.
	Until time.Time
}

// judge holds what every verdict of a pool depends on.
type judge struct {
	config   facts.Config
	deadline time.Duration
	progress time.Duration
	halted   map[string]bool
	now      time.Time
}

// member judges a node that should have the payload.
func (j judge) member(m selection.Member) Verdict {
	n, carries := m.Node, m.Carries()
	if v, broken := unusable(n); broken {
		return v
	}
	switch {
	case !n.Ready:
		return j.notReady(n, carries && !n.Settled())
	case n.Report == nil && n.Intent == nil:
		return Verdict{Class: Waiting, Reason: facts.ReasonAgentMissing}
	case j.config.Catalogued && m.Release.Problem != "":
		return failed(facts.ReasonNoPayloadForVersion, m.Release.Problem)
	case !carries:
		return j.queued(m)
	case !n.Answered():
		return j.unanswered(n)
	case n.Report.Phase == node.PhaseInstalled && !n.SameBoot():
		return j.rebooted(n)
	case n.Pinged():
		return j.pinged(n)
	default:
		return j.stuck(n, answered(n))
	}
}

// notReady is waited for, except where the node was to install something: others may wait for it.
func (j judge) notReady(n facts.Node, working bool) Verdict {
	v := Verdict{Class: Waiting, Reason: facts.ReasonNodeNotReady}
	if !working {
		return v
	}
	sentence := fmt.Sprintf("the kubelet has not been Ready for %s since the node was given its payload", j.deadline)
	return j.unless(n, j.deadline, v, failed(facts.ReasonNodeNotReady, sentence))
}

// stuck turns an installation into a failure that has stayed as it is for too long, except where
// its agent waits for the machine-config operator.
func (j judge) stuck(n facts.Node, v Verdict) Verdict {
	if v.Class != InProgress {
		return v
	}
	then := failed(facts.ReasonNoProgress, fmt.Sprintf("nothing has changed for %s: look at kata-agent.service on the node", j.progress))
	if n.Busy != "" {
		then = Verdict{Class: Waiting, Reason: facts.ReasonMachineConfigBusy}
	}
	return j.unless(n, j.progress, v, then)
}

// unless returns a verdict until the node has been as it is for the limit, and then the other one.
func (j judge) unless(n facts.Node, limit time.Duration, v, then Verdict) Verdict {
	if n.Since.IsZero() || limit == 0 {
		return v
	}
	due := n.Since.Add(limit)
	if j.now.Before(due) {
		v.Until = due
		return v
	}
	return then
}

// unusable is what no intent can repair.
func unusable(n facts.Node) (Verdict, bool) {
	switch {
	case n.ReportProblem != "":
		return failed(facts.ReasonReportUnreadable, n.ReportProblem), true
	case n.Obstacle() == facts.ReasonProtocolMismatch:
		return failed(facts.ReasonProtocolMismatch, fmt.Sprintf("the agent understands intent versions %v and not %d: bring controller and agent to neighbouring versions", n.Report.Speaks, node.Version)), true
	case errorHolds(n):
		return failed(facts.ReasonAgentError, agentError(*n.Report.Error)), true
	default:
		return Verdict{}, false
	}
}

// errorHolds is true unless the error is about an intent that the node does not have any more.
func errorHolds(n facts.Node) bool {
	return n.Report != nil && n.Report.Error != nil && (n.Intent == nil || n.Report.IntentID == "" || n.Answered())
}

func agentError(e node.Error) string {
	sentence := e.Message
	if sentence == "" {
		sentence = e.Reason
	}
	if e.Step == "" || strings.HasPrefix(sentence, e.Step) {
		return sentence
	}
	return e.Step + ": " + sentence
}

// queued is a member whose turn has not come.
func (j judge) queued(m selection.Member) Verdict {
	switch {
	case j.config.Refused != nil:
		return Verdict{Class: Waiting, Reason: j.config.Refused.Reason}
	case j.config.Paused:
		return Verdict{Class: Waiting, Reason: facts.ReasonPaused}
	case m.Obstacle() != "":
		return Verdict{Class: Waiting, Reason: m.Obstacle()}
	case m.Report != nil && m.Report.HostCheck != "":
		return failed(facts.ReasonHostUnfit, m.Report.HostCheck)
	case m.Wanted != nil && j.halted[m.Wanted.Payload]:
		return Verdict{Class: Waiting, Reason: facts.ReasonTooManyFailures}
	default:
		return Verdict{Class: Waiting, Reason: facts.ReasonQueued}
	}
}

// unanswered turns into a failure at the deadline.
func (j judge) unanswered(n facts.Node) Verdict {
	due := n.Intent.Issued.Add(j.deadline)
	if j.now.Before(due) {
		return Verdict{Class: InProgress, Reason: facts.ReasonAwaitingReport, Until: due}
	}
	return failed(facts.ReasonAgentNotReporting, fmt.Sprintf("no answer to the intent of %s: look at kata-agent.service on the node%s", n.Intent.Issued.UTC().Format(time.RFC3339), notReady(n)))
}

// rebooted is a report from before the boot that the kubelet speaks of.
func (j judge) rebooted(n facts.Node) Verdict {
	due := n.StaleSince.Add(j.deadline)
	if j.now.Before(due) {
		return Verdict{Class: InProgress, Reason: facts.ReasonRebooted, Until: due}
	}
	return failed(facts.ReasonAgentNotReporting, "no report since the node's last boot: look at kata-agent.service on the node")
}

// pinged is what the node was before, until the deadline.
func (j judge) pinged(n facts.Node) Verdict {
	due := n.Intent.Ping.Add(j.deadline)
	if !j.now.Before(due) {
		return failed(facts.ReasonAgentNotReporting, fmt.Sprintf("no answer to the ping of %s: look at kata-agent.service on the node", n.Intent.Ping.UTC().Format(time.RFC3339)))
	}
	v := j.stuck(n, answered(n))
	if v.Class != Failed && (v.Until.IsZero() || due.Before(v.Until)) {
		v.Until = due
	}
	return v
}

func notReady(n facts.Node) string {
	if n.Ready {
		return ""
	}
	return ", which is not Ready"
}

func answered(n facts.Node) Verdict {
	reboot := n.Report.Phase != node.PhaseInstalled && n.AsksReboot()
	switch {
	case n.Busy != "" && (reboot || n.AsksRestart()):
		return Verdict{Class: Waiting, Reason: facts.ReasonMachineConfigBusy}
	case reboot:
		return Verdict{Class: Waiting, Reason: facts.ReasonAwaitingReboot}
	case n.Report.Phase != node.PhaseInstalled && n.Report.RebootRequired:
		return Verdict{Class: InProgress, Reason: facts.ReasonRebooting}
	case n.AsksRestart():
		return Verdict{Class: Waiting, Reason: facts.ReasonAwaitingGrant}
	case n.Report.HostCheck != "":
		return failed(facts.ReasonHostUnfit, n.Report.HostCheck)
	case n.Report.Phase != node.PhaseInstalled:
		return Verdict{Class: InProgress, Reason: facts.ReasonInstalling}
	case len(n.Lacking()) > 0:
		return failed(facts.ReasonHandlersNotServed, "the agent serves "+node.RuntimeClass+" and does not know further handlers ("+strings.Join(n.Lacking(), ", ")+"): bring it to the controller's version")
	case !n.HandlerServed(), len(n.Unlisted()) > 0:
		return Verdict{Class: InProgress, Reason: facts.ReasonAwaitingKubelet}
	case !n.Labelled(), len(n.Unlabelled()) > 0:
		return Verdict{Class: InProgress, Reason: facts.ReasonAwaitingLabel}
	default:
		return Verdict{Class: Completed, Reason: facts.ReasonCompleted}
	}
}

// leaver judges a node that Kata is being removed from.
func (j judge) leaver(m selection.Member) Verdict {
	n, absent := m.Node, m.Carries()
	if v, broken := unusable(n); broken {
		return v
	}
	switch {
	case !absent && j.config.Paused && !j.config.Deleting:
		return Verdict{Class: Waiting, Reason: facts.ReasonPaused}
	case !absent:
		return Verdict{Class: InProgress, Reason: facts.ReasonRemoving}
	case !n.Answered():
		return j.unanswered(n)
	case n.Report.BoundPods.Count > 0:
		return Verdict{Class: Waiting, Reason: facts.ReasonKataPodsRunning, Sentence: podNames(n.Report.BoundPods)}
	default:
		return Verdict{Class: InProgress, Reason: facts.ReasonRemoving}
	}
}

func podNames(pods node.BoundPods) string {
	names := strings.Join(pods.Names, ", ")
	if rest := pods.Count - len(pods.Names); rest > 0 && names != "" {
		return fmt.Sprintf("%s and %d more", names, rest)
	}
	return names
}

func failed(reason facts.Reason, sentence string) Verdict {
	return Verdict{Class: Failed, Reason: reason, Sentence: sentence}
}
