// SPDX-License-Identifier: Apache-2.0

// Package attest writes what is said about a payload image: a bill of materials (SPDX 2.3) and how
// it was built (SLSA provenance 1). Both are pure functions: the same image, built from the same
// sources, has the same documents byte for byte.
package attest

import (
	"slices"
	"time"

	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	// SBOMType is the media type of a bill of materials.
	SBOMType = "application/spdx+json"
	// ProvenanceType is the media type of a provenance statement.
	ProvenanceType = "application/vnd.in-toto+json"
	// PredicateAnnotation tells statements apart that have the same media type, as in-toto has it.
	PredicateAnnotation = "in-toto.io/predicate-type"
	// PredicateType is that of SLSA provenance 1.
	PredicateType = "https://slsa.dev/provenance/v1"
	// BuildType says what the parameters of a build mean.
	BuildType = "https://github.com/kata-node/kata-node/kata-payload/build@v1"
	// treeDigest is the name of a directory's digest, which no other program computes.
	treeDigest = "kataPayloadTree"
	// Builder is who has built.
	Builder = "https://github.com/kata-node/kata-node/kata-payload"
)

// Image is what the documents are about: the image for one architecture.
type Image struct {
	// Digest is that of the image's manifest, as sha256:hex.
	Digest   string
	Manifest manifest.Manifest
	// SHA1 has the digests of the manifest's regular files that SPDX demands next to the manifest's
	// own, in lower-case hex by path.
	SHA1 map[string]string
	// Created is the image's time of creation, which SOURCE_DATE_EPOCH gives.
	Created time.Time
}

// Build is how the image came about.
type Build struct {
	// Version is that of kata-payload.
	Version string
	// Parameters are what was asked for on the command line, without places of one machine.
	Parameters map[string]string
	// Sources are everything that went in, in a fixed order.
	Sources []Source
}

// Source is an archive, a set of packages, or a file, pinned by its digest.
type Source struct {
	// Name is for people.
	Name string
	// Version is that of what the source brings, and may be empty.
	Version string
	// URI says where it is from, and may be empty for a file of the machine that has built.
	URI string
	// SHA256 is in hex: that of the file, or, where Tree is set, that of a directory as
	// sources.toml pins it.
	SHA256 string
	Tree   bool
	// Components are the names of those that files of the source went into. None means all.
	Components []string
}

// feeds tells whether something of the source may be in a component.
func (s Source) feeds(component string) bool {
	return len(s.Components) == 0 || slices.Contains(s.Components, component)
}
