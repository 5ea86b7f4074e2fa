// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/damage"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// image finds a payload, also in a store that cannot be read but mounted from.
func (r Runner) image(ctx context.Context, payload string) (host.Image, error) {
	images, err := r.Host.Images.List(ctx)
	at := slices.IndexFunc(images, func(i host.Image) bool { return slices.Contains(i.Digests, node.Digest(payload)) })
	if at < 0 && err != nil {
		return host.Image{}, err
	}
	if at < 0 {
		return host.Image{}, fmt.Errorf("payload %q is not in the store any more", payload)
	}
	return images[at], nil
}

func (r Runner) payload(ctx context.Context, s plan.Step) error {
	if s.Kind == plan.Mount {
		_, err := r.mount(ctx, s)
		return err
	}
	return r.verify(ctx, s)
}

// mount writes the slot's origin before the mount, so that a mount never lacks one, and mounts
// nothing on what is mounted. What was found out about a former mount ends here. An image of which
// a layer is missing is discarded. It returns the image that is mounted.
func (r Runner) mount(ctx context.Context, s plan.Step) (host.Image, error) {
	image, err := r.image(ctx, s.Payload)
	if err != nil {
		return image, err
	}
	layers, err := r.Host.Images.Layers(ctx, image.ID)
	if err != nil {
		return image, r.discardIf(ctx, damage.Is(err), image, err)
	}
	origin := record.Origin{Image: image.ID, Platform: image.Platform, Payload: s.Payload, Release: image.Version}
	if err := origin.Save(r.Host.Files, s.Slot); err != nil {
		return image, err
	}
	mounted, err := r.Host.Mounts.Below(host.PayloadDir(s.Slot), 0)
	if err != nil || slices.Contains(mounted, host.PayloadDir(s.Slot)) {
		return image, err
	}
	if err := record.RemoveMarks(r.Host.Files, s.Slot); err != nil {
		return image, err
	}
	if err := r.Host.Mounts.Overlay(layers, host.PayloadDir(s.Slot)); err != nil {
		return image, r.discardIf(ctx, incomplete(layers), image, fmt.Errorf("mounting payload %q: %w", s.Payload, err))
	}
	return image, nil
}

// incomplete reports whether a layer is not there. The error of a mount does not tell: the kernel
// answers ENOENT to options that it has cut, too.
func incomplete(layers []string) bool {
	return slices.ContainsFunc(layers, func(layer string) bool {
		_, err := os.Stat(layer)
		return damage.Is(err)
	})
}

func (r Runner) discardIf(ctx context.Context, damaged bool, image host.Image, err error) error {
	if !damaged {
		return err
	}
	return errors.Join(err, r.Host.Images.Discard(ctx, image.ID))
}

// verify compares the mounted tree with its manifest, and the manifest with the digest that came
// with the image. What differs is never served: mount, image and every damaged layer are deleted,
// so that the next pull brings all of it anew.
func (r Runner) verify(ctx context.Context, s plan.Step) error {
	image, err := r.image(ctx, s.Payload)
	if err != nil {
		return err
	}
	mounted, err := r.Host.Mounts.Below(host.PayloadDir(s.Slot), 0)
	if err == nil && !slices.Contains(mounted, host.PayloadDir(s.Slot)) {
		err = errors.New("it is not mounted any more")
	}
	if err != nil {
		return fmt.Errorf("verifying payload %q: %w", s.Payload, err)
	}
	m, identity, err := r.compare(ctx, s.Slot, image)
	switch {
	case damage.Is(err) && s.Kind == plan.VerifyAgain:
		return r.distrust(s, err)
	case damage.Is(err):
		return r.discard(ctx, s, image, err)
	}
	if err != nil {
		return fmt.Errorf("verifying payload %q: %w", s.Payload, err)
	}
	handler, _ := m.Handler(node.Handler)
	return record.Verified{
		Architecture: m.Architecture, HandlerType: string(handler.Type), Handlers: offered(m), ShimCompatibility: m.ShimCompatibility, Guest: m.Guest != nil,
		Needs: record.Needs{QEMU: m.Requires.QEMU, Virtiofsd: m.Requires.Virtiofsd}, Packages: packagesOf(m), Sets: setsOf(m), VM: m.Requires.KVM, OldestKernel: m.Requires.OldestKernel,
		Identity: identity,
	}.Save(r.Host.Files, s.Slot)
}

func setsOf(m manifest.Manifest) map[string][]manifest.System {
	sets := map[string][]manifest.System{}
	for _, set := range m.PackageSets {
		sets[set.Name] = set.Systems
	}
	return sets
}

// offered are the handlers of a payload that the agent can configure.
func offered(m manifest.Manifest) []string {
	return slices.DeleteFunc(node.PodHandlers(), func(name string) bool {
		handler, offers := m.Handler(name)
		return !offers || handler.Type != manifest.TypeVM
	})
}

func packagesOf(m manifest.Manifest) []record.Package {
	var all []record.Package
	for _, p := range m.Packages {
		all = append(all, record.Package{Set: p.Set, Name: p.Name, NEVRA: p.NEVRA(), Path: p.Path})
	}
	return all
}

// compare returns the identity that the files had before they were read. Without one, all of them
// are read after each mount.
func (r Runner) compare(ctx context.Context, slot string, image host.Image) (m manifest.Manifest, identity string, err error) {
	m, err = r.manifest(ctx, slot, image)
	if err != nil {
		return m, "", err
	}
	r.Tell(fmt.Sprintf("verifying payload %s: %d files", m.PayloadVersion, len(m.Files)))
	dir := r.Host.Files.Path(host.PayloadDir(slot))
	identity, _ = inspect.Identity(ctx, dir, m) //nolint:errcheck // what is wrong with a tree is named by the next line
	return m, identity, inspect.Tree(ctx, dir, m)
}

// manifest reads the document through the reader that follows no link and opens regular files only.
func (r Runner) manifest(ctx context.Context, slot string, image host.Image) (manifest.Manifest, error) {
	m, document, err := inspect.Read(ctx, r.Host.Files.Path(host.PayloadDir(slot)))
	if err != nil && document == nil {
		return m, err
	}
	if got := manifest.Digest(document); got != image.Manifest {
		return m, &inspect.Mismatch{Path: manifest.Path, Problem: fmt.Sprintf("sha256 is %s, the image's label says %q", got, image.Manifest)}
	}
	return m, err
}

// distrust forgets what was found out about a damaged slot that may serve. With that, the next plan
// takes the links away from it first, and then verifies and discards it.
func (r Runner) distrust(s plan.Step, found error) error {
	return errors.Join(fmt.Errorf("payload %q is damaged and is not served any more: %w", s.Payload, found),
		record.RemoveFindings(r.Host.Files, s.Slot), record.RemoveMarks(r.Host.Files, s.Slot))
}

func (r Runner) discard(ctx context.Context, s plan.Step, image host.Image, found error) error {
	err := fmt.Errorf("payload %q is damaged, discarded and pulled again: %w", s.Payload, found)
	if undo := r.unmount(s.Slot); undo != nil {
		return errors.Join(err, undo)
	}
	return errors.Join(err, r.Host.Images.Discard(ctx, image.ID))
}
