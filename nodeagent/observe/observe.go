// SPDX-License-Identifier: Apache-2.0

// Package observe takes one look at the host and at what the API server said, and returns the facts that a plan rests on.
// It changes nothing.
package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/dropin"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// Self is what does not change while the agent runs.
type Self struct {
	BootID, Architecture, Kernel string
	// CRIOUnit is the systemd unit of the container runtime.
	CRIOUnit string
}

// Told is what the API server last said of this node, as far as it can be reached.
type Told struct {
	// Known is whether the Node has been seen at all.
	Known bool
	// Intent is the annotation's value, empty where there is none.
	Intent string
	// Pods are the bound kata pods that have not ended, as namespace/name; they count only when PodsKnown.
	Pods      []string
	PodsKnown bool
	// Busy says what else works on the node.
	Busy string
}

// Observer looks.
type Observer struct {
	Host host.Host
	Self Self
}

// Look returns the facts of this moment. It fails only where not knowing would make a plan dangerous.
func (o Observer) Look(ctx context.Context, told Told) (plan.Facts, error) {
	f := plan.Facts{
		BootID: o.Self.BootID, Architecture: o.Self.Architecture, Kernel: o.Self.Kernel,
		BoundPods: told.Pods, PodsKnown: told.PodsKnown, Busy: told.Busy,
	}
	for _, look := range []func() error{
		func() error { return o.intent(&f, told) },
		func() error { return o.hostProblem(&f) },
		func() error { return o.settings(&f) },
		func() error { return o.links(&f) },
		func() error { return o.records(&f) },
		func() error { return o.images(ctx, &f) },
		func() error { return o.crio(ctx, &f) },
		func() error { return o.versions(&f) },
	} {
		if err := look(); err != nil {
			return f, fmt.Errorf("observing the host: %w", err)
		}
	}
	return f, nil
}

// intent prefers what the Node says; the disk's copy serves until the API server is there, and stays in force while the Node says nothing.
func (o Observer) intent(f *plan.Facts, told Told) error {
	kept, err := o.keptIntent()
	if err != nil {
		return err
	}
	f.Wanted, f.Kept = kept, true
	if told.Known && told.Intent == "" {
		f.Cleared = true
	}
	if told.Intent == "" {
		return nil
	}
	said, err := node.DecodeIntent(told.Intent)
	if err != nil {
		f.IntentProblem, f.IntentID = err.Error(), node.IntentID(told.Intent)
		return nil //nolint:nilerr // what is wrong with an intent is a fact, for the report
	}
	f.Wanted, f.Told, f.IntentID = &said, true, said.ID
	f.Kept = kept != nil && kept.ID == said.ID
	return nil
}

// keptIntent returns the intent on disk. One that cannot be read, as after a change of the agent's version, is as good as none: the Node has it too.
func (o Observer) keptIntent() (*node.Intent, error) {
	document, err := o.Host.Files.Read(host.IntentFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no intent is a normal answer
	}
	if err != nil {
		return nil, err
	}
	kept, err := node.DecodeIntent(string(document))
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // see above
	}
	return &kept, nil
}

// liveSystem exists on a system booted from an ISO or over the network, firstBoot until a new OpenShift node has pivoted to its own OS image and rebooted.
const (
	liveSystem = "/run/ostree-live"
	firstBoot  = "/etc/ignition-machine-config-encapsulated.json"
)

func (o Observer) hostProblem(f *plan.Facts) error {
	private, err := o.Host.Mounts.Private()
	switch {
	case err != nil:
		return err
	case private:
		f.HostProblem = "the agent runs in a mount namespace of its own, so CRI-O would not see its mounts: remove sandboxing directives from kata-agent.service"
	case o.exists(liveSystem):
		f.HostProblem = "this is a live system, nothing would survive its end: install it to disk first"
	case o.exists(firstBoot):
		f.HostProblem = "this node has not yet rebooted into its own OS image: the agent goes on after that reboot"
	}
	return nil
}

func (o Observer) exists(path string) bool {
	_, err := o.Host.Files.Read(path)
	return err == nil
}

func (o Observer) links(f *plan.Facts) error {
	for _, link := range []struct {
		path string
		into *string
	}{{host.CurrentLink, &f.Current}, {host.ProofLink, &f.Proof}} {
		target, err := o.Host.Files.Readlink(link.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		*link.into = versionOf(target)
	}
	return nil
}

func (o Observer) records(f *plan.Facts) error {
	var served plan.Served
	if found, err := o.record(host.ServedFile, &served); err != nil {
		return err
	} else if found {
		f.Served = &served
	}
	if _, err := o.record(host.RestartedFile, &f.CRIO.Restarted); err != nil {
		return err
	}
	for _, path := range host.Leftovers() {
		if o.exists(path) {
			f.Leftovers = append(f.Leftovers, path)
		}
	}
	return nil
}

// record reads a JSON record of ours. A torn one cannot be: they are replaced by rename. One that a person edited counts as missing.
func (o Observer) record(path string, into any) (bool, error) {
	document, err := o.Host.Files.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return json.Unmarshal(document, into) == nil, nil
}

func (o Observer) images(ctx context.Context, f *plan.Facts) error {
	images, err := o.Host.Images.List(ctx)
	if err != nil {
		return err
	}
	for _, i := range images {
		f.Images = append(f.Images, plan.Image{ID: i.ID, Digests: i.Digests, Platform: i.Platform})
	}
	f.StoreExists = o.Host.Images.Exists()
	return nil
}

func (o Observer) crio(ctx context.Context, f *plan.Facts) error {
	unit, err := o.Host.Services.Unit(ctx, o.Self.CRIOUnit)
	if err != nil {
		return err
	}
	f.CRIO.Active, f.CRIO.Invocation = unit.Active(), unit.Invocation
	content, err := o.Host.Files.Read(host.DropIn)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.DropIn.Exists = err == nil; f.DropIn.Exists {
		stamp, right := dropin.Read(content)
		f.DropIn.Right, f.DropIn.Invocation, f.DropIn.BootID = right, stamp.Invocation, stamp.BootID
	}
	if !unit.Active() {
		return nil
	}
	return o.sandboxes(ctx, f)
}

// sandboxes asks CRI-O. Where it does not answer the facts say so, and whoever needs the answer waits.
func (o Observer) sandboxes(ctx context.Context, f *plan.Facts) error {
	sandboxes, err := o.Host.Sandboxes.List(ctx, node.Handler, node.ProofHandler)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	f.CRIO.Answers = true
	for _, s := range sandboxes {
		f.CRIO.Sandboxes = append(f.CRIO.Sandboxes, plan.Sandbox{ID: s.ID, Handler: s.Handler, Name: s.Namespace + "/" + s.Name, Ready: s.Ready})
	}
	return nil
}
