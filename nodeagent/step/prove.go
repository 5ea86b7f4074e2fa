// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// outcome is what came of a proof that could be tried. Unknown handlers are no failure: the next
// plan asks for a restart of CRI-O.
type outcome struct {
	// invocation is that of CRI-O.
	invocation string
	// failure is what the runtime said, nil where sandbox and container ran.
	failure error
	// strained is whether the runtime lacked something of the host.
	strained bool
}

func (r Runner) prove(ctx context.Context, s plan.Step) error {
	if s.Kind == plan.Control {
		return r.control(ctx, s)
	}
	return r.candidate(ctx, s)
}

// candidate starts a real sandbox of the candidate and a container in it, and notes a failure: how
// many there were, and of which kind, decides what is tried next.
func (r Runner) candidate(ctx context.Context, s plan.Step) error {
	came, err := r.proof(ctx, s)
	if err != nil || came.failure == nil {
		return err
	}
	failure := fmt.Errorf("proving %s: %w", what(s), came.failure)
	if proven(s) != node.Handler {
		return failure
	}
	before, err := record.LoadFailed(r.Host.Files, s.Slot)
	if err != nil {
		return errors.Join(failure, err)
	}
	after := plan.AfterFailure(before, came.invocation, brief(came.failure), came.strained)
	return errors.Join(failure, after.Save(r.Host.Files, s.Slot))
}

// control proves the slot that serves in the same way, and notes at the candidate what came of it.
// Where the host lacked something, nothing is known yet. A CRI-O that has turned out not to know
// our handlers says nothing either.
func (r Runner) control(ctx context.Context, s plan.Step) error {
	came, err := r.proof(ctx, s)
	if err != nil {
		return err
	}
	if came.strained {
		return fmt.Errorf("proving payload %q, which serves, for comparison: %w", s.Payload, came.failure)
	}
	candidate, err := record.LoadFailed(r.Host.Files, s.Object)
	if err != nil {
		return err
	}
	if came.failure == nil {
		proved, err := record.LoadProved(r.Host.Files, s.Slot)
		if err != nil || proved.Invocation != came.invocation {
			return err
		}
	}
	candidate.Control, candidate.ControlWords = s.Slot, brief(came.failure)
	return candidate.Save(r.Host.Files, s.Object)
}

// maxWords is how many bytes of what a runtime said are kept. A report has room for 400, with two
// payloads in it.
const maxWords = 180

func brief(failure error) string {
	if failure == nil {
		return ""
	}
	return node.Shorten(failure.Error(), maxWords)
}

// proof starts a sandbox and a container with a configuration that is rendered again: a program of
// the host may have moved since. CRI-O's list of handlers proves nothing. The error is what kept
// the proof from being tried, or its success from being noted.
func (r Runner) proof(ctx context.Context, s plan.Step) (outcome, error) {
	unit, err := r.Host.Services.Unit(ctx, r.Self.CRIOUnit)
	if err != nil {
		return outcome{}, err
	}
	if err := r.visible(s.Slot, unit); err != nil {
		return outcome{}, err
	}
	if err := r.configure(ctx, s, proven(s)); err != nil {
		return outcome{}, err
	}
	if err := r.reachable(s, unit); err != nil {
		return outcome{}, err
	}
	rendered, _ := r.rendered(s.Slot) //nolint:errcheck // without it, the slot is proved after each mount
	name := proofName(s.Slot)
	if err := r.asks(name); err != nil {
		return outcome{}, err
	}
	strained, failure := r.run(ctx, s, name)
	if _, unknown := errors.AsType[*host.UnknownHandler](failure); unknown {
		return outcome{}, r.lacks(s, unit.Invocation)
	}
	if failure != nil && ctx.Err() != nil {
		return outcome{}, failure // The agent has been asked to end.
	}
	came := outcome{invocation: unit.Invocation, failure: failure, strained: strained}
	if failure != nil {
		return came, nil //nolint:nilerr // it could be tried, and its failure is what came of it
	}
	return came, r.judge(ctx, s, record.Proved{Invocation: unit.Invocation, Rendered: rendered})
}

// run lets a sandbox and a container in it run. The error is what the runtime said, with what else
// is known of the cause.
func (r Runner) run(ctx context.Context, s plan.Step, name string) (strained bool, failure error) {
	limited, cancel := context.WithTimeout(ctx, r.Self.ProofTimeout)
	defer cancel()
	id, err := r.Host.Sandboxes.Prove(limited, node.ProofOf(proven(s)), name)
	_, unknown := errors.AsType[*host.UnknownHandler](err)
	switch {
	case id != "" && r.Host.Sandboxes.Remove(ctx, id) != nil, id == "" && limited.Err() != nil:
		// What CRI-O cannot remove now, or may still start, a later tidy step removes, or the
		// kubelet. CRI-O needs its logs until then.
	default:
		r.dropLogs(name)
	}
	if id != "" || unknown {
		_ = r.answered(name) //nolint:errcheck // a later tidy step finds nothing of it
	}
	if err == nil || unknown {
		return false, err
	}
	_, strained = errors.AsType[*host.Strained](err)
	if limited.Err() != nil && ctx.Err() == nil {
		strained, err = true, r.meanwhile(ctx, err, name, id)
	}
	// A shim that CRI-O could not execute has started no guest.
	if id == "" && !strings.Contains(err.Error(), "fork/exec ") {
		err = r.half(ctx, s, err)
	}
	return strained, r.denied(ctx, err)
}

// denied adds to the error of a proof that SELinux may be its cause. What was denied is known to
// the audit log alone, or to the kernel's where no auditd runs.
func (r Runner) denied(ctx context.Context, err error) error {
	if !strings.Contains(strings.ToLower(err.Error()), "permission denied") || r.Host.Machine.Examine(ctx).SELinux.Mode != "enforcing" {
		return err
	}
	return fmt.Errorf("%w; SELinux is enforcing: see ausearch -m avc or journalctl -kg avc, and selinux_context", err)
}
