// SPDX-License-Identifier: Apache-2.0

package ostree

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Layer changes packages where no other transaction runs. An older package of the same name is
// uninstalled by name in the transaction that installs the newer one: rpm-ostree cannot have both.
func (s *System) Layer(ctx context.Context, change host.Layering) error {
	if len(change.Install)+len(change.Uninstall) == 0 {
		return nil
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	return unlessThere(s.change(ctx, arguments(change)...))
}

func arguments(change host.Layering) []string {
	if len(change.Install) == 0 {
		return append([]string{"uninstall", "-y", "--idempotent"}, change.Uninstall...)
	}
	args := append([]string{"install", "-y", "--idempotent"}, change.Install...)
	for _, name := range change.Uninstall {
		args = append(args, "--uninstall="+name)
	}
	return args
}

// ApplyLive applies the pending deployment. What would change or remove packages of the running
// system is refused by rpm-ostree, and needs a reboot.
func (s *System) ApplyLive(ctx context.Context) error {
	if err := s.quiet(ctx); err != nil {
		return err
	}
	return s.change(ctx, "apply-live")
}

// quiet asks anew: what was remembered may be older than a transaction.
func (s *System) quiet(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = seen{}
	status, err := s.ask(ctx)
	switch {
	case err != nil:
		return err
	case status.Transaction != nil:
		return &host.OstreeError{Class: host.OstreeBusy, Err: fmt.Errorf("rpm-ostree works on %s for %s", status.Transaction.Method, status.Transaction.Sender)}
	}
	if next, pending := status.Pending(); pending && next.Locked {
		return &host.OstreeError{Class: host.OstreeBusy, Err: fmt.Errorf("a staged update waits for %s, and a change would unlock it", orElse(status.Driver, "its driver"))}
	}
	return nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// unlessThere takes an answer by which there is nothing to do for success.
func unlessThere(err error) error {
	if said, ok := errors.AsType[*host.OstreeError](err); ok && said.Class == there {
		return nil
	}
	return err
}

// there is the class of what is in place already. It leaves this package as success.
const there host.OstreeClass = "there"

// classes are the words by which rpm-ostree's answers are known, in the order in which they count.
// They are rpm-ostree's own texts (2026.2) and libdnf's.
func classes() []struct {
	class host.OstreeClass
	words []string
} {
	return []struct {
		class host.OstreeClass
		words []string
	}{
		{host.OstreeBusy, []string{"Transaction in progress", "System transaction in progress", "Reboot initiated, cannot start new transaction"}},
		{host.OstreeCrashed, []string{"Bus owner changed, aborting", "Couldn't start daemon", "Failed to activate service", "start-limit-hit"}},
		{host.OstreeLocked, []string{"LockLayering=true", "Layering is disabled"}},
		{there, []string{"is already in the base", "is already provided by", "is already requested", "is not currently requested"}},
		{host.OstreeNotFound, []string{"Packages not found", "No enabled repositories"}},
		{host.OstreeConflict, []string{"Forbidden base package replacements", "Some base packages would be replaced", "Some base packages would be removed", "File exists", "cannot install both"}},
		{host.OstreeDepsolve, []string{"Could not depsolve transaction"}},
		{host.OstreeLiveRefused, []string{
			"packages would be removed", "packages would be changed", "apply-live is incompatible with unlock state", "Changed directories are not supported yet",
			"cannot change target to", "No target commit specified and no pending deployment",
		}},
		{host.OstreeFull, []string{"No space left on device", "min-free-space"}},
		{host.OstreeNetwork, []string{"Could not resolve host", "Couldn't resolve host", "Curl error", "Failed to download metadata", "Connection refused", "Connection timed out"}},
	}
}

func classify(text string) host.OstreeClass {
	for _, c := range classes() {
		for _, words := range c.words {
			if strings.Contains(text, words) {
				return c.class
			}
		}
	}
	return host.OstreeOther
}

// reason returns what the program says from its last "error:" on, without its advice to cancel what
// may be another's.
func reason(text string) string {
	if at := strings.LastIndex(text, "error: "); at >= 0 {
		text = text[at+len("error: "):]
	}
	text, _, _ = strings.Cut(text, "You can cancel the current transaction")
	return strings.TrimSpace(text)
}
