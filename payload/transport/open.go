// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// unknown is the architecture of what other builders put into an index next to its images, such as
// provenance.
const unknown = "unknown"

// Opened is an image at its place, or an index of images. Its layers are read from there later, so
// close it after them.
type Opened struct {
	// Name is the image by digest.
	Name string
	// Digest is sha256:hex.
	Digest string
	// Index is true where the digest is that of an index.
	Index bool
	// Images are those of the index in its order, or the one image.
	Images []v1.Image

	target    Target
	raw       []byte
	form      string
	reference types.ImageReference
	source    types.ImageSource
	work      workspace
	// carried is what is attached to it, read from the lists.
	carried []artifact
	lists   []types.ImageSource
}

// Open finds an image or an index and reads its manifests and configurations. Every byte that is
// read, then or later, is compared with its digest.
func Open(ctx context.Context, from Target, o Options) (*Opened, error) {
	w, err := o.workspace()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", from, err)
	}
	opened, err := from.open(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", from, explain(errors.Join(err, w.close()), from))
	}
	return opened, nil
}

func (t Target) open(ctx context.Context, w workspace) (*Opened, error) {
	reference, err := t.source()
	if err != nil {
		return nil, err
	}
	opened, err := openReference(ctx, reference, w)
	if err != nil {
		return nil, err
	}
	if t.digest != "" && t.digest != opened.Digest {
		return nil, errors.Join(fmt.Errorf("the image's digest is %s", opened.Digest), opened.source.Close())
	}
	opened.target, opened.Name = t, t.byDigest(opened.Digest)
	return opened, nil
}

func openReference(ctx context.Context, reference types.ImageReference, w workspace) (*Opened, error) {
	source, err := reference.NewImageSource(ctx, w.system)
	if err != nil {
		return nil, err
	}
	opened := &Opened{reference: reference, source: source, work: w}
	if err := opened.read(ctx); err != nil {
		return nil, errors.Join(err, source.Close())
	}
	return opened, nil
}

// Target returns the image by digest, as ParseTarget reads it.
func (o *Opened) Target() string {
	if IsTarget(o.Name) {
		return o.Name
	}
	return registryPrefix + o.Name
}

// Close ends the reading, and deletes what was unpacked for it.
func (o *Opened) Close() error { return errors.Join(o.end(), o.work.close()) }

// end closes what is open, and leaves the temporary files to whoever made them.
func (o *Opened) end() error {
	problems := []error{o.source.Close()}
	for _, list := range o.lists {
		problems = append(problems, list.Close())
	}
	return errors.Join(problems...)
}

func (o *Opened) read(ctx context.Context) error {
	whole := image.UnparsedInstance(o.source, nil)
	raw, form, err := whole.Manifest(ctx)
	if err != nil {
		return err
	}
	at, err := manifest.Digest(raw)
	if err != nil {
		return err
	}
	o.raw, o.form, o.Digest, o.Index = raw, form, at.String(), manifest.MIMETypeIsMultiImage(form)
	if !o.Index {
		return o.add(ctx, whole)
	}
	parts, err := o.parts(form)
	if err != nil {
		return fmt.Errorf("reading index: %w", err)
	}
	for _, part := range parts {
		if err := o.add(ctx, image.UnparsedInstance(o.source, &part)); err != nil {
			return fmt.Errorf("reading image %s of the index: %w", part, err)
		}
	}
	return nil
}

// parts returns which images of the index are there: all of them, or the one that a store keeps.
func (o *Opened) parts(form string) ([]digest.Digest, error) {
	if o.reference.Transport().Name() == storage.Transport.Name() {
		list, err := manifest.ListFromBlob(o.raw, form)
		if err != nil {
			return nil, err
		}
		one, err := list.ChooseInstance(o.work.system)
		return []digest.Digest{one}, err
	}
	list, err := v1.ParseIndexManifest(bytes.NewReader(o.raw))
	if err != nil {
		return nil, err
	}
	var parts []digest.Digest
	for _, part := range list.Manifests {
		if part.MediaType.IsImage() && (part.Platform == nil || part.Platform.Architecture != unknown) {
			parts = append(parts, digest.Digest(part.Digest.String()))
		}
	}
	return parts, nil
}

func (o *Opened) add(ctx context.Context, instance *image.UnparsedImage) error {
	parsed, err := image.FromUnparsedImage(ctx, o.work.system, instance)
	if err != nil {
		return err
	}
	raw, form, err := parsed.Manifest(ctx)
	if err != nil {
		return err
	}
	config, err := parsed.ConfigBlob(ctx)
	if err != nil {
		return err
	}
	stored, err := parsed.LayerInfosForCopy(ctx)
	if err != nil {
		return err
	}
	found, err := partial.CompressedToImage(&core{ctx: ctx, source: o.source, form: form, raw: raw, config: config, stored: stored})
	o.Images = append(o.Images, found)
	return err
}

// For returns the image for an architecture, or the only one there is.
func (o *Opened) For(architecture string) (v1.Image, error) {
	var there []string
	for _, found := range o.Images {
		config, err := found.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("reading configuration of %s: %w", o.Name, err)
		}
		if config.Architecture == architecture || !o.Index {
			return found, nil
		}
		there = append(there, config.Architecture)
	}
	slices.Sort(there)
	return nil, fmt.Errorf("%s is an index without an image for %s: it has %s; name one of its images by digest", o.Name, architecture, strings.Join(there, ", "))
}
