// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// restartTimeout is beyond CRI-O's own start timeout; a job that ends later is seen by the next
// look.
const restartTimeout = 3 * time.Minute

func (r Runner) writeDropIn() error {
	content, err := handlers.DropIn()
	if err != nil {
		return err
	}
	if err := r.unlisted(host.DropIn); err != nil {
		return err
	}
	if err := r.Host.Files.Write(host.DropIn, content, publicFile); err != nil {
		return fmt.Errorf("writing drop-in %s: %w", host.DropIn, err)
	}
	return nil
}

// restartCRIO stops no CRI-O that would refuse its configuration at the next start. It notes the
// use of the grant before the restart: after a crash the note tells a restart that happened from
// one that did not.
func (r Runner) restartCRIO(ctx context.Context, f plan.Facts) error {
	if err := r.Host.Services.Check(ctx, r.Self.CRIOUnit); err != nil {
		return fmt.Errorf("CRI-O is left running, because it would not start again: %w", err)
	}
	if err := r.recent(f.At); err != nil {
		return err
	}
	dependents, err := r.Host.Services.Dependents(ctx, r.Self.CRIOUnit)
	if err != nil {
		return err
	}
	for _, down := range f.Runtime.Restarted.Dependents { // since an earlier restart
		if !slices.Contains(dependents, down) {
			dependents = append(dependents, down)
		}
	}
	used := record.Restarted{Intent: f.Intent.Wanted.ID, Invocation: f.Runtime.Invocation, Dependents: dependents}
	if len(dependents) > 0 {
		used.Before = f.Before()
	}
	if err := used.Save(r.Host.Files); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	return r.Host.Services.Restart(ctx, r.Self.CRIOUnit)
}

// mostAge is how old an observation may be for a restart of CRI-O. The controller takes a grant
// back that is not used for minutes, and another node may have got what it had allowed by then. A
// process or a whole machine that was frozen continues where it stopped.
const mostAge = time.Minute

// recent uses the longer of what both clocks of a time say: the monotonic one stands still while a
// machine is suspended, the other one may be set back.
func (r Runner) recent(observed time.Time) error {
	if r.Now == nil {
		return nil
	}
	now := r.Now()
	if age := max(now.Sub(observed), now.Round(0).Sub(observed.Round(0))); age > mostAge {
		return fmt.Errorf("CRI-O is left running: its restart was planned %s ago, and whether it may be restarted is asked again", age.Round(time.Second))
	}
	return nil
}

// startDependents does for each service what systemd does by itself where CRI-O comes back at once.
// A service that somebody stops later stays stopped: it is done once for each restart.
func (r Runner) startDependents(ctx context.Context, used record.Restarted) error {
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	for _, name := range used.Dependents {
		if err := r.Host.Services.Start(ctx, name); err != nil {
			return err
		}
	}
	used.Dependents = nil
	return used.Save(r.Host.Files)
}

// confirmNode forgets what the node had before the restart: all of it is there again.
func (r Runner) confirmNode(used record.Restarted) error {
	used.Before = nil
	return used.Save(r.Host.Files)
}

// proven is the handler of pods that a step proves.
func proven(s plan.Step) string {
	if s.Kind != plan.Prove || s.Object == "" {
		return node.Handler
	}
	return node.FurtherHandler(s.Object)
}

// what names what a step proves, for people.
func what(s plan.Step) string {
	if proven(s) == node.Handler {
		return fmt.Sprintf("payload %q", s.Payload)
	}
	return fmt.Sprintf("handler %s of payload %q", proven(s), s.Payload)
}

// meanwhile adds to the error of a proof that took too long what the runtime has complained of: it
// answers nothing while it waits for a shim, but its journal has the shim's words at once.
func (r Runner) meanwhile(ctx context.Context, err error, about ...string) error {
	words, unread := r.Host.Services.Complaints(ctx, r.Self.CRIOUnit, r.Self.ProofTimeout, about...)
	if unread != nil {
		return fmt.Errorf("%w; %w", err, unread)
	}
	if len(words) == 0 {
		return fmt.Errorf("%w, nor complains in its journal (proof_timeout is %s)", err, r.Self.ProofTimeout)
	}
	for i, line := range words {
		words[i] = node.Shorten(line, maxComplaint)
	}
	return fmt.Errorf("%w; its journal: %s", err, strings.Join(words, " | "))
}

// maxComplaint is how many bytes of a line are shown.
const maxComplaint = 200

// judge makes sure that what was proved is what pods get: the proof ran another handler than
// theirs. A CRI-O that was started with a foreign definition of it has to be restarted, also after
// that file was deleted.
func (r Runner) judge(ctx context.Context, s plan.Step, now record.Proved) error {
	shim, err := r.Host.Sandboxes.Shim(ctx, proven(s))
	if err != nil {
		return err
	}
	if shim != "" && shim != handlers.Shim(proven(s)) {
		return r.lacks(s, now.Invocation)
	}
	return r.proved(ctx, s, now)
}

// lacks records that a CRI-O does not know the handler that was to be proved. Without a further one
// it serves kata-oc as before.
func (r Runner) lacks(s plan.Step, invocation string) error {
	if proven(s) != node.Handler {
		return record.Lacks{Further: invocation, Handler: s.Object}.Save(r.Host.Files)
	}
	return record.Lacks{Invocation: invocation}.Save(r.Host.Files)
}

// proved records the proof, if one and the same CRI-O ran all the time.
func (r Runner) proved(ctx context.Context, s plan.Step, now record.Proved) error {
	after, err := r.Host.Services.Unit(ctx, r.Self.CRIOUnit)
	if err != nil {
		return err
	}
	if after.Invocation != now.Invocation {
		return errors.New("CRI-O was restarted during the proof, which says nothing about the one that runs now")
	}
	if err := record.RemoveLacks(r.Host.Files); err != nil {
		return err
	}
	so, err := record.LoadProved(r.Host.Files, s.Slot)
	further := proven(s) != node.Handler
	switch {
	case err != nil, further && (so.Invocation != now.Invocation || slices.Contains(so.Handlers, s.Object)):
		return err
	case further:
		so.Handlers = append(so.Handlers, s.Object)
	case so.Invocation != now.Invocation:
		so = now
	}
	return so.Save(r.Host.Files, s.Slot)
}

// proofName differs from that of every other proof: CRI-O keeps the name of a sandbox that it
// cannot remove.
func proofName(slot string) string {
	return "proof-" + slot + "-" + strings.ToLower(rand.Text()[:8])
}

// visible makes sure that CRI-O's mount namespace has the payload: it may live in one of its own.
func (r Runner) visible(slot string, unit host.Unit) error {
	points, err := r.Host.Mounts.Below(host.PayloadDir(slot), unit.MainPID)
	if err != nil {
		return err
	}
	if !slices.Contains(points, host.PayloadDir(slot)) {
		return fmt.Errorf("%s is mounted but CRI-O (process %d) does not see it: its mount namespace gets no mounts from the host", host.PayloadDir(slot), unit.MainPID)
	}
	return nil
}

// reachable makes sure that CRI-O sees every file that the configuration of a proof names: packages
// that were applied to the running system are mounted on /usr, and a service may still have the one
// without them.
func (r Runner) reachable(s plan.Step, unit host.Unit) error {
	configuration, err := r.Host.Files.Read(path.Join(host.SlotDir(s.Slot), node.ProofOf(proven(s)), host.Configuration))
	if err != nil {
		return fmt.Errorf("reading the configuration of the proof: %w", err)
	}
	files, err := handlers.FilesOf(configuration)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := r.Host.Processes.Sees(unit.MainPID, f.Path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s in configuration.toml names %q, which this host has but CRI-O (process %d) does not see: its mount namespace has an older %s; restart %s, which gives it the host's",
				f.Key, f.Path, unit.MainPID, top(f.Path), r.Self.CRIOUnit)
		} else if err != nil {
			return fmt.Errorf("looking through CRI-O (process %d) at what %s in configuration.toml names: %w", unit.MainPID, f.Key, err)
		}
	}
	return nil
}

// top is the directory below the root that a path leads into.
func top(file string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(file), "/"), "/")
	return "/" + first
}
