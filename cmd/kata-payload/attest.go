// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/attest"
	"github.com/kata-node/kata-node/payload/stage"
	"github.com/kata-node/kata-node/payload/transport"
)

// options are those of the push: how it is signed, and what is attached to each image.
func (f *buildFlags) options(images []built, target transport.Target, progress io.Writer) (o transport.Options, err error) {
	o = f.registry.options()
	if o.Signing, err = f.sign.signing(); err != nil || !f.attest {
		return o, err
	}
	if !target.HoldsAttachments() {
		_, err = fmt.Fprintf(progress, "%s cannot hold a bill of materials and provenance: they are not attached\n", target)
		return o, err
	}
	for _, b := range images {
		build, err := f.provenance(b.Payload, b.materials)
		if err != nil {
			return o, err
		}
		documents, err := attachments(b.Payload, build)
		if err != nil {
			return o, err
		}
		o.Attachments = append(o.Attachments, documents...)
	}
	return o, nil
}

// provenance is what the image was built of: the file that declares it and everything that this
// names, without places of this machine.
func (f *buildFlags) provenance(p assemble.Payload, materials []stage.Material) (attest.Build, error) {
	declared := cmp.Or(f.sources.file, f.describe)
	text, err := os.ReadFile(filepath.Clean(declared))
	if err != nil {
		return attest.Build{}, fmt.Errorf("reading %s for the provenance: %w", declared, err)
	}
	sum := sha256.Sum256(text)
	build := attest.Build{
		Version:    version,
		Parameters: map[string]string{"architecture": p.Manifest.Architecture},
		Sources:    []attest.Source{{Name: filepath.Base(declared), SHA256: hex.EncodeToString(sum[:])}},
	}
	if f.sources.file != "" {
		build.Parameters["profile"] = f.sources.profile
	}
	if len(f.set) > 0 {
		build.Parameters["set"] = strings.Join(f.set, " ")
	}
	for _, m := range materials {
		build.Sources = append(build.Sources, attest.Source{Name: m.Name(), Version: m.Version, URI: m.URL, SHA256: m.SHA256, Tree: m.Directory != "", Components: m.Components})
	}
	return build, nil
}

// attachments are the bill of materials and the provenance of one image.
func attachments(p assemble.Payload, b attest.Build) ([]transport.Attachment, error) {
	config, err := p.Image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading configuration of the built image: %w", err)
	}
	image := attest.Image{Digest: p.Digest, Manifest: p.Manifest, SHA1: p.SHA1, Created: config.Created.Time}
	bill, err := attest.SBOM(image, b)
	if err != nil {
		return nil, err
	}
	provenance, err := attest.Provenance(image, b)
	if err != nil {
		return nil, err
	}
	return []transport.Attachment{
		{Subject: p.Digest, Type: attest.SBOMType, Document: bill},
		{
			Subject: p.Digest, Type: attest.ProvenanceType, Document: provenance,
			Annotations: map[string]string{attest.PredicateAnnotation: attest.PredicateType},
		},
	}, nil
}
