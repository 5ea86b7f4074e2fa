// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"

	"github.com/kata-node/kata-node/internal/httpstatus"
)

// HoldsAttachments tells whether documents can be attached to an image at the target. Archives are
// read by programs that expect one image in them, and stores have no place for anything else.
func (t Target) HoldsAttachments() bool { return t.kind == registryPrefix || t.kind == layoutPrefix }

// HoldsSignatures tells whether an image can be signed at the target.
func (t Target) HoldsSignatures() bool { return t.kind == registryPrefix }

// attachInRegistry stores the artifacts, and lists them below the fallback tag of what they are
// about. A registry with a list of its own has them there by then.
func (j *job) attachInRegistry(ctx context.Context, o copy.Options) error {
	all, err := j.artifacts()
	if err != nil {
		return err
	}
	for _, a := range all {
		to, err := j.at("", a.descriptor.Digest).inRegistry()
		if err != nil {
			return err
		}
		if err := j.copyFrom(ctx, to, a.reference(), a.descriptor.Digest, o); err != nil {
			return fmt.Errorf("attaching %s: %w", a.descriptor.ArtifactType, err)
		}
	}
	subjects, of := bySubject(all)
	for _, subject := range subjects {
		at := j.at(fallback(subject), "")
		list, err := j.listed(ctx, at, descriptors(of[subject]))
		if err != nil {
			return fmt.Errorf("listing what is attached to %s: %w", subject, err)
		}
		to, err := at.inRegistry()
		if err != nil {
			return err
		}
		if err := j.putManifest(ctx, to, list); err != nil {
			return fmt.Errorf("listing what is attached to %s: %w", subject, err)
		}
	}
	return nil
}

// attachInLayout stages the artifacts and their lists, and returns how the layout's index names
// the lists.
func (j *job) attachInLayout(ctx context.Context, stage string, to types.ImageReference) ([]v1.Descriptor, error) {
	all, err := j.artifacts()
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if err := j.copyFrom(ctx, to, a.reference(), a.descriptor.Digest, copy.Options{}); err != nil {
			return nil, fmt.Errorf("attaching %s: %w", a.descriptor.ArtifactType, err)
		}
	}
	var named []v1.Descriptor
	subjects, of := bySubject(all)
	for _, subject := range subjects {
		list, err := j.listed(ctx, j.at(fallback(subject), ""), descriptors(of[subject]))
		if err != nil {
			return nil, fmt.Errorf("listing what is attached to %s: %w", subject, err)
		}
		at, err := v1.NewHash(digest.FromBytes(list).String())
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(stage, "blobs", at.Algorithm, at.Hex), list, fileMode); err != nil {
			return nil, err
		}
		named = append(named, v1.Descriptor{
			MediaType: ggcr.OCIImageIndex, Digest: at, Size: int64(len(list)), Annotations: map[string]string{refName: fallback(subject)},
		})
	}
	return named, nil
}

// at is another name in the place that is pushed to.
func (j *job) at(tag string, by digest.Digest) Target {
	return Target{kind: j.to.kind, place: j.to.place, tag: tag, digest: by.String()}
}

// listed returns the list that is at a target, if there is one, with more entries.
func (j *job) listed(ctx context.Context, at Target, added []spec.Descriptor) ([]byte, error) {
	source, err := at.referrers(ctx, j.work)
	if err != nil {
		return nil, err
	}
	if source == nil {
		return withReferrers(nil, added)
	}
	defer func() { _ = source.Close() }() //nolint:errcheck // closes idle connections only
	list, _, err := source.GetManifest(ctx, nil)
	if err != nil {
		return nil, err
	}
	return withReferrers(list, added)
}

// referrers opens the list that is at a fallback tag. It returns nil where there is none.
func (t Target) referrers(ctx context.Context, w workspace) (types.ImageSource, error) {
	reference, err := t.source()
	if errors.Is(err, errNoSuchImage) || errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // Nothing is attached.
	}
	if err != nil {
		return nil, err
	}
	source, err := reference.NewImageSource(ctx, w.system)
	if httpstatus.Of(err) == http.StatusNotFound {
		return nil, nil //nolint:nilnil // Nothing is attached.
	}
	return source, err
}

// carry collects what is attached to an image, or to the images of an index, at another place. The
// documents are read as they are stored.
func (t Target) carry(ctx context.Context, o *Opened) error {
	if !t.HoldsAttachments() {
		return nil
	}
	subjects, err := o.subjects()
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		if err := t.carryOf(ctx, o, subject); err != nil {
			return fmt.Errorf("reading what is attached to %s: %w", subject, err)
		}
	}
	return nil
}

func (t Target) carryOf(ctx context.Context, o *Opened, subject digest.Digest) error {
	source, err := Target{kind: t.kind, place: t.place, tag: fallback(subject)}.referrers(ctx, o.work)
	if source == nil || err != nil {
		return err
	}
	o.lists = append(o.lists, source)
	text, _, err := source.GetManifest(ctx, nil)
	if err != nil {
		return err
	}
	var list spec.Index
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, d := range list.Manifests {
		if d.MediaType != spec.MediaTypeImageManifest {
			continue
		}
		found, err := stored(ctx, source, subject, d)
		if httpstatus.Of(err) == http.StatusNotFound {
			continue
		}
		if err != nil {
			return err
		}
		o.carried = append(o.carried, found)
	}
	return nil
}

// stored returns an artifact that is read as it is copied.
func stored(ctx context.Context, source types.ImageSource, subject digest.Digest, d spec.Descriptor) (artifact, error) {
	text, _, err := image.UnparsedInstance(source, &d.Digest).Manifest(ctx)
	if err != nil {
		return artifact{}, err
	}
	var m spec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return artifact{}, err
	}
	found := newArtifact(subject, text, d.ArtifactType, d.Annotations)
	found.descriptor = d
	for _, blob := range append(m.Layers, m.Config) {
		found.source.blobs[blob.Digest] = func() (io.ReadCloser, int64, error) {
			return source.GetBlob(ctx, types.BlobInfo{Digest: blob.Digest, Size: blob.Size}, none.NoCache)
		}
	}
	return found, nil
}
