// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/guestconfig"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

func (r Runner) image(ctx context.Context, payload string) (host.Image, error) {
	images, err := r.Host.Images.List(ctx)
	if err != nil {
		return host.Image{}, err
	}
	at := slices.IndexFunc(images, func(i host.Image) bool { return slices.Contains(i.Digests, node.Digest(payload)) })
	if at < 0 {
		return host.Image{}, fmt.Errorf("payload %q is not in the store any more", payload)
	}
	return images[at], nil
}

// mount writes the slot's origin before the mount, so that a mount never lacks one, and mounts nothing on what is mounted. An image whose layers are not all there is discarded.
func (r Runner) mount(ctx context.Context, s plan.Step) error {
	image, err := r.image(ctx, s.Payload)
	if err != nil {
		return err
	}
	layers, err := r.Host.Images.Layers(ctx, image.ID)
	if err != nil {
		return errors.Join(err, r.Host.Images.Discard(ctx, image.ID))
	}
	origin := record.Origin{Image: image.ID, Payload: s.Payload, Release: image.Version}
	if err := origin.Save(r.Host.Files, s.Slot); err != nil {
		return err
	}
	mounted, err := r.Host.Mounts.Below(host.PayloadDir(s.Slot), 0)
	if err != nil || slices.Contains(mounted, host.PayloadDir(s.Slot)) {
		return err
	}
	err = r.Host.Mounts.Overlay(layers, host.PayloadDir(s.Slot))
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(err, r.Host.Images.Discard(ctx, image.ID))
	}
	if err != nil {
		return fmt.Errorf("mounting payload %q: %w", s.Payload, err)
	}
	return nil
}

// verify compares the mounted tree with its manifest, and the manifest with the digest that came with the image.
// What differs is never served: mount, image and every damaged layer go, so that the next pull brings all of it anew.
func (r Runner) verify(ctx context.Context, s plan.Step) error {
	image, err := r.image(ctx, s.Payload)
	if err != nil {
		return err
	}
	err = r.compare(ctx, s.Slot, image)
	if mismatch, ok := errors.AsType[*inspect.Mismatch](err); ok {
		return r.discard(ctx, s, image, mismatch)
	}
	if err != nil {
		return fmt.Errorf("verifying payload %q: %w", s.Payload, err)
	}
	return record.Mark(r.Host.Files, s.Slot, record.VerifiedMark)
}

func (r Runner) compare(ctx context.Context, slot string, image host.Image) error {
	m, err := r.manifest(slot, image)
	if err != nil {
		return err
	}
	r.Tell(fmt.Sprintf("verifying payload %s: %d files", m.PayloadVersion, len(m.Files)))
	return inspect.Tree(ctx, r.Host.Files.Path(host.PayloadDir(slot)), m)
}

func (r Runner) manifest(slot string, image host.Image) (manifest.Manifest, error) {
	document, err := r.Host.Files.Read(path.Join(host.PayloadDir(slot), manifest.Path))
	if err != nil {
		return manifest.Manifest{}, &inspect.Mismatch{Path: manifest.Path, Problem: err.Error()}
	}
	sum := sha256.Sum256(document)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != image.Manifest {
		return manifest.Manifest{}, &inspect.Mismatch{Path: manifest.Path, Problem: fmt.Sprintf("sha256 is %s, the image's label says %q", got, image.Manifest)}
	}
	return manifest.Decode(document)
}

func (r Runner) discard(ctx context.Context, s plan.Step, image host.Image, mismatch *inspect.Mismatch) error {
	err := fmt.Errorf("verifying payload %q: %s: %s; it is discarded and pulled again", s.Payload, mismatch.Path, mismatch.Problem)
	if undo := r.unmount(s.Slot); undo != nil {
		return errors.Join(err, undo)
	}
	return errors.Join(err, r.Host.Images.Discard(ctx, image.ID))
}

// configure renders both handlers' directories: a link to the shim in the payload, and a real configuration file beside it.
func (r Runner) configure(s plan.Step) error {
	document, err := r.Host.Files.Read(path.Join(host.PayloadDir(s.Slot), manifest.Path))
	if err != nil {
		return fmt.Errorf("reading payload manifest: %w", err)
	}
	m, err := manifest.Decode(document)
	if err != nil {
		return err
	}
	handler, ok := m.Handler(node.Handler)
	if !ok {
		return fmt.Errorf("payload %q offers no handler %s: use a payload built for it", s.Payload, node.Handler)
	}
	base, err := r.Host.Files.Read(path.Join(host.PayloadDir(s.Slot), handler.Config))
	if err != nil {
		return fmt.Errorf("reading the payload's base configuration: %w", err)
	}
	fragments, err := observe.Fragments(r.Host.Files)
	if err != nil {
		return err
	}
	for name, render := range map[string]func([]byte, []guestconfig.Fragment) ([]byte, error){
		node.Handler: guestconfig.Render, node.ProofHandler: guestconfig.RenderProof,
	} {
		content, err := render(base, fragments)
		if err != nil {
			return err
		}
		if err := r.handler(s.Slot, name, handler.Shim, content); err != nil {
			return fmt.Errorf("configuring handler %s: %w", name, err)
		}
	}
	return nil
}

func (r Runner) handler(slot, name, shim string, configuration []byte) error {
	dir := path.Join(host.SlotDir(slot), name)
	target := path.Join("..", path.Base(host.PayloadDir(slot)), shim)
	if err := r.Host.Files.Link(path.Join(dir, host.Shim), target); err != nil {
		return err
	}
	return r.Host.Files.Write(path.Join(dir, host.Configuration), configuration, publicFile)
}
