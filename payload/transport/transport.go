// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

// Published is an image at its place.
type Published struct {
	// Name is the image by digest: registry/repository@sha256:hex, or oci:DIR@sha256:hex.
	Name string
	// Digest is sha256:hex.
	Digest string
}

// Push writes an image or an index. The target's tag moves to it when everything else is in place.
func Push(ctx context.Context, content Content, to Target, o Options) (Published, error) {
	return publish(ctx, to, o, func(w workspace) (*Opened, error) {
		return openReference(ctx, built{collect: func() (*builtSource, error) { return collect(content) }}, w)
	})
}

// Copy writes what is somewhere already to another target: an image, or an index with all of its
// images.
func Copy(ctx context.Context, from, to Target, o Options) (Published, error) {
	return publish(ctx, to, o, func(w workspace) (*Opened, error) {
		opened, err := from.open(ctx, w)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", from, explain(err, from))
		}
		if !to.HoldsAttachments() {
			return opened, nil
		}
		if err := from.carry(ctx, opened); err != nil {
			return nil, fmt.Errorf("opening %s: %w", from, explain(errors.Join(err, opened.end()), from))
		}
		return opened, nil
	})
}

func publish(ctx context.Context, to Target, o Options, open func(workspace) (*Opened, error)) (p Published, err error) {
	if err := o.fit(to); err != nil {
		return Published{}, fmt.Errorf("publishing to %s: %w", to, err)
	}
	w, err := o.workspace()
	if err != nil {
		return Published{}, fmt.Errorf("publishing to %s: %w", to, explain(err, to))
	}
	defer func() { err = errors.Join(err, w.close()) }()
	opened, err := open(w)
	if err != nil {
		return Published{}, fmt.Errorf("publishing to %s: %w", to, err)
	}
	if err := (&job{opened, to, o}).run(ctx); err != nil {
		return Published{}, fmt.Errorf("publishing to %s: %w", to, explain(errors.Join(err, opened.end()), to))
	}
	return Published{Name: to.byDigest(opened.Digest), Digest: opened.Digest}, opened.end()
}

// fit refuses what the target has no place for.
func (o Options) fit(to Target) error {
	if o.Signing != nil && !to.HoldsSignatures() {
		return errors.New("only registries hold signatures: push it to docker:// to sign it")
	}
	if len(o.Attachments) > 0 && !to.HoldsAttachments() {
		return errors.New("documents can be attached in registries and layouts only: push it to docker:// or oci:, or leave them out")
	}
	return nil
}

// job is one image or index on its way to a target.
type job struct {
	*Opened
	to      Target
	options Options
}

func (j *job) run(ctx context.Context) error {
	if j.to.digest != "" && j.to.digest != j.Digest {
		return fmt.Errorf("the image's digest is %s", j.Digest)
	}
	switch j.to.kind {
	case registryPrefix:
		return j.toRegistry(ctx)
	case layoutPrefix:
		return j.toLayout(ctx)
	case archivePrefix:
		return j.toArchive(ctx)
	default:
		return j.toStorage(ctx)
	}
}

// opened is a reference whose source is open: what was read before is what is copied.
type opened struct {
	types.ImageReference
	source types.ImageSource
}

// NewImageSource returns the open source. Sources may be closed twice.
func (o opened) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return o.source, nil
}

// progressInterval is how often a blob's progress is reported.
const progressInterval = 100 * time.Millisecond

// copy copies the image.
func (j *job) copy(ctx context.Context, to types.ImageReference, o copy.Options) error {
	return j.copyFrom(ctx, to, opened{j.reference, j.source}, digest.Digest(j.Digest), o)
}

// copyFrom copies everything, byte for byte, and compares what came out of it.
func (j *job) copyFrom(ctx context.Context, to, from types.ImageReference, want digest.Digest, o copy.Options) error {
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: []signature.PolicyRequirement{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	defer func() { _ = policy.Destroy() }() //nolint:errcheck // releases memory only
	o.SourceCtx, o.DestinationCtx = j.work.system, j.work.system
	o.PreserveDigests = true
	// Only registries hold signatures; the library would refuse to leave them out.
	o.RemoveSignatures = j.to.kind != registryPrefix
	if j.options.Progress != nil {
		events, done := make(chan types.ProgressProperties), make(chan struct{})
		o.Progress, o.ProgressInterval = events, progressInterval
		go func() { defer close(done); report(events, j.options.Progress) }()
		defer func() { close(events); <-done }()
	}
	written, err := copy.Image(ctx, policy, to, from, &o)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if got := digest.FromBytes(written); o.ImageListSelection != copy.CopySystemImage && got != want {
		return fmt.Errorf("the copy has digest %s, not %s", got, want)
	}
	return nil
}

func report(events <-chan types.ProgressProperties, progress func(Progress)) {
	for e := range events {
		size := max(e.Artifact.Size, 0)
		p := Progress{Blob: e.Artifact.Digest.String(), Done: int64(e.Offset), Total: size} //nolint:gosec // a blob's size fits
		switch e.Event {
		case types.ProgressEventSkipped:
			p.Done, p.Present, p.Finished = size, true, true
		case types.ProgressEventDone:
			p.Finished = true
		case types.ProgressEventNewArtifact, types.ProgressEventRead:
		}
		progress(p)
	}
}
