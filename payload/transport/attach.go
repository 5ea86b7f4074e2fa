// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/types"
)

// Attachment is a document about an image, such as its bill of materials. It is stored as an OCI
// referrer: an artifact whose subject is the image.
type Attachment struct {
	// Subject is the digest of what it is about: the image or index that is pushed, or one of the
	// index's images.
	Subject string
	// Type is the media type of the document, and the type of the artifact.
	Type string
	// Document is the text itself.
	Document []byte
	// Annotations are those of the artifact, by which clients choose.
	Annotations map[string]string
}

// artifact is an attachment in the form in which it is stored.
type artifact struct {
	subject    digest.Digest
	descriptor spec.Descriptor
	source     *builtSource
}

// artifacts are what has to be attached: the documents that are given, and what the source has
// attached to the same images.
func (j *job) artifacts() ([]artifact, error) {
	var all []artifact
	for _, a := range j.options.Attachments {
		made, err := j.artifact(a)
		if err != nil {
			return nil, fmt.Errorf("attaching %s to %s: %w", a.Type, a.Subject, err)
		}
		all = append(all, made)
	}
	return append(all, j.carried...), nil
}

func (j *job) artifact(a Attachment) (artifact, error) {
	subject, err := j.describe(digest.Digest(a.Subject))
	if err != nil {
		return artifact{}, err
	}
	document := spec.Descriptor{MediaType: a.Type, Digest: digest.FromBytes(a.Document), Size: int64(len(a.Document))}
	text, err := json.Marshal(spec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: spec.MediaTypeImageManifest, ArtifactType: a.Type,
		Config: spec.DescriptorEmptyJSON, Layers: []spec.Descriptor{document}, Subject: &subject, Annotations: a.Annotations,
	})
	if err != nil {
		return artifact{}, err
	}
	return newArtifact(subject.Digest, text, a.Type, a.Annotations, spec.DescriptorEmptyJSON.Data, a.Document), nil
}

func newArtifact(subject digest.Digest, manifest []byte, form string, annotations map[string]string, blobs ...[]byte) artifact {
	at := digest.FromBytes(manifest)
	made := artifact{
		subject: subject,
		source: &builtSource{
			top:       at,
			documents: map[digest.Digest]document{at: {manifest, spec.MediaTypeImageManifest}},
			blobs:     map[digest.Digest]opener{},
		},
		descriptor: spec.Descriptor{
			MediaType: spec.MediaTypeImageManifest, ArtifactType: form, Digest: at, Size: int64(len(manifest)), Annotations: annotations,
		},
	}
	for _, blob := range blobs {
		made.source.blobs[digest.FromBytes(blob)] = func() (io.ReadCloser, int64, error) {
			return io.NopCloser(bytes.NewReader(blob)), int64(len(blob)), nil
		}
	}
	return made
}

// describe returns the descriptor of what is pushed, or of one of its images.
func (j *job) describe(at digest.Digest) (spec.Descriptor, error) {
	if at.String() == j.Digest {
		return spec.Descriptor{MediaType: j.form, Digest: at, Size: int64(len(j.raw))}, nil
	}
	for _, found := range j.Images {
		text, err := found.RawManifest()
		if err != nil {
			return spec.Descriptor{}, err
		}
		if digest.FromBytes(text) == at {
			form, err := found.MediaType()
			return spec.Descriptor{MediaType: string(form), Digest: at, Size: int64(len(text))}, err
		}
	}
	return spec.Descriptor{}, fmt.Errorf("%s is not among what is pushed", j.to.place)
}

// fallback is the tag below which the referrers of an image are listed, for registries and layouts
// without a list of their own (OCI distribution specification, referrers tag schema).
func fallback(subject digest.Digest) string {
	return subject.Algorithm().String() + "-" + subject.Encoded()
}

// withReferrers returns the list of referrers with these in it. Other entries stay as they are,
// down to what this program does not know.
func withReferrers(list []byte, added []spec.Descriptor) ([]byte, error) {
	whole := map[string]json.RawMessage{}
	if list != nil {
		if err := json.Unmarshal(list, &whole); err != nil {
			return nil, err
		}
	}
	var entries []json.RawMessage
	if text, ok := whole["manifests"]; ok {
		if err := json.Unmarshal(text, &entries); err != nil {
			return nil, err
		}
	}
	known := map[digest.Digest]bool{}
	for _, entry := range entries {
		var d spec.Descriptor
		if err := json.Unmarshal(entry, &d); err != nil {
			return nil, err
		}
		known[d.Digest] = true
	}
	for _, d := range added {
		if known[d.Digest] {
			continue
		}
		known[d.Digest] = true
		entry, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	whole["manifests"] = text
	whole["schemaVersion"] = json.RawMessage("2")
	whole["mediaType"] = json.RawMessage(`"` + spec.MediaTypeImageIndex + `"`)
	return json.Marshal(whole)
}

// bySubject groups artifacts, in order, by what they are about.
func bySubject(all []artifact) (subjects []digest.Digest, of map[digest.Digest][]artifact) {
	of = map[digest.Digest][]artifact{}
	for _, a := range all {
		if of[a.subject] == nil {
			subjects = append(subjects, a.subject)
		}
		of[a.subject] = append(of[a.subject], a)
	}
	return subjects, of
}

func descriptors(of []artifact) []spec.Descriptor {
	var all []spec.Descriptor
	for _, a := range of {
		all = append(all, a.descriptor)
	}
	return all
}

// reference is for copying the artifact to its place.
func (a artifact) reference() types.ImageReference {
	return built{collect: func() (*builtSource, error) { return a.source, nil }}
}
