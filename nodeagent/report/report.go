// SPDX-License-Identifier: Apache-2.0

// Package report turns facts, plan and the last failure into what the agent says of its node: to
// the controller, in a Node condition, and in a sentence for people. It is pure, and everything is
// computed once per pass.
package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// Failure is a step that failed.
type Failure struct {
	Step plan.Kind
	Err  error
}

// Reason is that of the step, unless it is the payload that does not fit this host: then the same
// as where that is found in what was pulled.
func (f Failure) Reason() string {
	if _, unfit := errors.AsType[*host.Unfit](f.Err); unfit {
		return node.ReasonPayloadUnfit
	}
	if said, ok := errors.AsType[*host.OstreeError](f.Err); ok && said.Lasting() {
		if said.Class == host.OstreeLocked {
			return node.ReasonLayeringLocked
		}
		return node.ReasonPackagesUnfit
	}
	return Reason(f.Step)
}

// unfit is the sentence of a pull that was refused because of this host, empty for any other
// failure, and for one of what is only fetched ahead of time.
func (f *Failure) unfit() string {
	if f == nil || f.Step != plan.Pull {
		return ""
	}
	if refused, ok := errors.AsType[*host.Unfit](f.Err); ok && refused.Host {
		return refused.Problem
	}
	return ""
}

// Make returns the report. An error that was there before, at the same step for the same reason,
// keeps its time.
func Make(f plan.Facts, p plan.Plan, failure *Failure, before node.Report, now time.Time) node.Report {
	r := node.Report{
		Version: node.Version, Speaks: []int{node.Version},
		IntentID: intentID(f), BootID: f.Host.BootID, Architecture: f.Host.Architecture, HostCheck: cmp.Or(f.Unfit(), failure.unfit()), HostWarning: f.Warning(), Phase: p.Phase,
		InUse:     inUse(f),
		BoundPods: boundPods(f), Prefetched: f.Prefetched(),
		UpdateBlocked: f.Packages.UpdateBlocked(), Ping: ping(f, before),
		Unguarded: f.Cluster.Unguarded, RebootRequired: p.Reboot != "",
		Error: problem(f, p, failure),
	}
	// A removal that takes away serves no new pod from its first step on.
	if v, serving := f.Serving(); serving && p.Phase != node.PhaseRemoving {
		r.Payload, r.Platform, r.PayloadVersion = node.Digest(v.Payload), v.Platform, v.Release
	}
	if p.Phase == node.PhaseInstalled {
		r.Handlers = f.Usable()
	}
	if r.Error != nil {
		r.Error.Since = since(*r.Error, before.Error, now)
	}
	return r
}

// Blind returns the last report with the reason why the host cannot be observed. Where there is
// none it is the first.
func Blind(before node.Report, self host.Identity, problem error, now time.Time) node.Report {
	if before.Version == 0 {
		before = node.Report{
			Version: node.Version, Speaks: []int{node.Version}, BootID: self.BootID, Architecture: self.Architecture, Phase: node.PhaseIdle,
		}
	}
	e := node.Error{Step: "observe host", Reason: node.ReasonHostNotObserved, Message: problem.Error()}
	e.Since = since(e, before.Error, now)
	before.Error = &e
	return before
}

func intentID(f plan.Facts) string {
	switch {
	case f.Intent.ID != "":
		return f.Intent.ID
	case f.Intent.Wanted != nil && !(f.Intent.Cleared && f.Intent.Wanted.State == node.StateAbsent):
		return f.Intent.Wanted.ID
	default:
		return ""
	}
}

// ping repeats the intent's. While the API server does not show the intent, it stays as it was
// reported: a copy on disk may have an older one.
func ping(f plan.Facts, before node.Report) time.Time {
	switch wanted := f.Intent.Wanted; {
	case wanted == nil || wanted.State != node.StateInstalled:
		return time.Time{}
	case f.Intent.Shown:
		return wanted.Ping
	default:
		return before.Ping
	}
}

// boundPods are reported only while a removal waits for them: at any other time each pod that comes
// or goes would cost a write of the whole Node.
func boundPods(f plan.Facts) node.BoundPods {
	if f.Intent.Wanted == nil || f.Intent.Wanted.State != node.StateAbsent {
		return node.BoundPods{}
	}
	// The controller takes the ready label off at zero: pods that are not known must not look like
	// none.
	if !f.Cluster.PodsKnown {
		return node.BoundPods{Count: 1}
	}
	return node.BoundPods{Count: len(f.Cluster.BoundPods), Names: f.Cluster.BoundPods}
}

func inUse(f plan.Facts) []string {
	var digests []string
	for _, v := range f.Slots.Held() {
		digests = append(digests, node.Digest(v.Payload))
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}

// problem returns the one thing to fix first. An unfit host is not an error of the agent: the
// report has a field for it.
func problem(f plan.Facts, p plan.Plan, failure *Failure) *node.Error {
	switch {
	case f.Intent.Problem != "":
		return &node.Error{Step: "read intent", Reason: node.ReasonInvalidIntent, Message: f.Intent.Problem}
	case f.Unfit() != "", p.Problem == nil && failure.unfit() != "":
		return nil
	case p.Problem != nil:
		return &node.Error{Step: string(p.Problem.Step), Reason: p.Problem.Reason, Message: p.Problem.Message}
	case failure != nil:
		return &node.Error{Step: string(failure.Step), Reason: failure.Reason(), Message: failure.Err.Error()}
	default:
		return nil
	}
}

func since(e node.Error, before *node.Error, now time.Time) time.Time {
	if before != nil && before.Step == e.Step && before.Reason == e.Reason {
		return before.Since
	}
	return now.UTC().Truncate(time.Second)
}

// unguarded is what a person has to know of a cluster without our policies, wherever a node stands.
const unguarded = "; the admission policies of deploy/ are not in force: whoever may write Nodes decides what this node runs"

// Sentence says for a person where the node stands.
func Sentence(r node.Report, p plan.Plan) string {
	text := where(r, p) + reboot(p)
	if r.UpdateBlocked != "" {
		text += "; " + r.UpdateBlocked
	}
	if p.Notice != "" {
		text += "; " + p.Notice
	}
	if r.Unguarded {
		text += unguarded
	}
	return text
}

// reboot is what else is ahead of a node, wherever it stands.
func reboot(p plan.Plan) string {
	switch {
	case p.Reboot == "", p.Leaving == "" && p.Wait != "":
		return ""
	case p.Leaving != "":
		return fmt.Sprintf("; the reboot for %s waits for %s", p.Reboot, p.Leaving)
	default:
		return "; to be rebooted for " + p.Reboot
	}
}

func where(r node.Report, p plan.Plan) string {
	serving := "no payload serves"
	if r.Payload != "" {
		serving = fmt.Sprintf("payload %s (%s) serves new pods", r.PayloadVersion, short(r.Payload))
	}
	switch {
	case r.Error != nil:
		return fmt.Sprintf("%s; %s", r.Error.Message, serving)
	case r.HostCheck != "" && r.Phase == node.PhaseInstalling:
		return fmt.Sprintf("%s; %s", r.HostCheck, serving)
	case p.Wait != "":
		return fmt.Sprintf("waiting for %s; %s", p.Wait, serving)
	}
	return standing(r, p, serving)
}

func standing(r node.Report, p plan.Plan, serving string) string {
	switch r.Phase {
	case node.PhaseIdle:
		return "nothing is installed and nothing is wanted: " + unwanted(p) + warning(r)
	case node.PhaseInstalling, node.PhaseAwaitingGrant:
		return "installing; " + serving
	case node.PhaseInstalled:
		return serving + older(p)
	case node.PhaseRemoving, node.PhaseBlocked:
		return "removing; " + serving
	case node.PhaseAbsent:
		return "everything is removed"
	}
	return serving
}

func unwanted(p plan.Plan) string {
	if p.Alone {
		return "there is no intent file"
	}
	return "no KataConfig selects this node"
}

func warning(r node.Report) string {
	if r.HostWarning == "" {
		return ""
	}
	return "; most payloads could not run here: " + r.HostWarning
}

func older(p plan.Plan) string {
	if p.Older == "" {
		return ""
	}
	return "; " + p.Older
}

// short keeps the part of a digest that people compare.
func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// Equal reports whether two reports say the same.
func Equal(a, b node.Report) bool {
	one, errA := a.Encode()
	other, errB := b.Encode()
	return errA == nil && errB == nil && one == other
}
