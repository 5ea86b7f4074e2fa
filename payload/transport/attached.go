// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"
)

// Attached is a document that is attached to an image or an index. It is stated, not verified.
type Attached struct {
	// Subject is the digest of what it is about.
	Subject string `json:"subject"`
	// Type is the document's media type.
	Type string `json:"type"`
	// Digest is that of the artifact that holds the document, Size that of the document in bytes.
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Signature is a sigstore signature that lies next to an image. It is stated, not verified.
type Signature struct {
	// Subject is the digest of what is signed.
	Subject string `json:"subject"`
	// Identity is the name in the signature.
	Identity string `json:"identity"`
}

// maxSigned is the most that is read of what a signature is for, in bytes.
const maxSigned = 1 << 20

// Annotations returns those of the index, or of the image where it is none.
func (o *Opened) Annotations() (map[string]string, error) {
	var whole struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(o.raw, &whole); err != nil {
		return nil, fmt.Errorf("reading annotations of %s: %w", o.Name, err)
	}
	return whole.Annotations, nil
}

// Documents returns the sizes in bytes of what a node reads of an image before any layer: the index
// if there is one, the manifest and the configuration.
func (o *Opened) Documents(image v1.Image) (int64, error) {
	m, err := image.Manifest()
	if err != nil {
		return 0, err
	}
	size, err := image.Size()
	if err != nil {
		return 0, err
	}
	size += m.Config.Size
	if o.Index {
		size += int64(len(o.raw))
	}
	return size, nil
}

// Attached lists what is attached to the index and its images, or to the image. Only registries and
// layouts have such documents.
func (o *Opened) Attached(ctx context.Context) ([]Attached, error) {
	if err := o.target.carry(ctx, o); err != nil {
		return nil, fmt.Errorf("opening %s: %w", o.target, explain(err, o.target))
	}
	var all []Attached
	for _, a := range o.carried {
		found := Attached{Subject: a.subject.String(), Type: a.descriptor.ArtifactType, Digest: a.descriptor.Digest.String(), Annotations: a.descriptor.Annotations}
		var m spec.Manifest
		if err := json.Unmarshal(a.source.documents[a.descriptor.Digest].text, &m); err != nil {
			return nil, fmt.Errorf("reading what is attached to %s: %w", a.subject, err)
		}
		for _, layer := range m.Layers {
			found.Size += layer.Size
		}
		all = append(all, found)
	}
	return all, nil
}

// Signatures lists the signatures of the index and its images, or of the image, in a registry.
func (o *Opened) Signatures(ctx context.Context) ([]Signature, error) {
	if !o.target.HoldsSignatures() {
		return nil, nil
	}
	subjects, err := o.subjects()
	if err != nil {
		return nil, err
	}
	var all []Signature
	for _, subject := range subjects {
		found, err := o.signaturesOf(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("reading signatures of %s: %w", subject, explain(err, o.target))
		}
		all = append(all, found...)
	}
	return all, nil
}

func (o *Opened) signaturesOf(ctx context.Context, subject digest.Digest) ([]Signature, error) {
	// The name under which cosign and containers/image keep signatures.
	at := Target{kind: o.target.kind, place: o.target.place, tag: fallback(subject) + ".sig"}
	source, err := at.referrers(ctx, o.work)
	if source == nil || err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }() //nolint:errcheck // closes idle connections only
	text, _, err := source.GetManifest(ctx, nil)
	if err != nil {
		return nil, err
	}
	var m spec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	var all []Signature
	for _, layer := range m.Layers {
		identity, err := identityOf(ctx, source, layer)
		if err != nil {
			return nil, err
		}
		all = append(all, Signature{Subject: subject.String(), Identity: identity})
	}
	return all, nil
}

// identityOf reads what is signed: containers/image, docs/containers-signature.5.md.
func identityOf(ctx context.Context, source types.ImageSource, layer spec.Descriptor) (string, error) {
	content, _, err := source.GetBlob(ctx, types.BlobInfo{Digest: layer.Digest, Size: layer.Size}, none.NoCache)
	if err != nil {
		return "", err
	}
	defer content.Close()
	var signed struct {
		Critical struct {
			Identity struct {
				Reference string `json:"docker-reference"`
			} `json:"identity"`
		} `json:"critical"`
	}
	if err := json.NewDecoder(io.LimitReader(content, maxSigned)).Decode(&signed); err != nil {
		return "", fmt.Errorf("signed document %s: %w", layer.Digest, err)
	}
	return signed.Critical.Identity.Reference, nil
}

// subjects are the index and its images, or the image.
func (o *Opened) subjects() ([]digest.Digest, error) {
	subjects := []digest.Digest{digest.Digest(o.Digest)}
	for _, found := range o.Images {
		at, err := found.Digest()
		if err != nil {
			return nil, err
		}
		if at.String() != o.Digest {
			subjects = append(subjects, digest.Digest(at.String()))
		}
	}
	return subjects, nil
}
