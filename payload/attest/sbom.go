// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/utils"

	"github.com/kata-node/kata-node/payload/manifest"
)

// noAssertion is SPDX's word for what the document does not say.
const noAssertion = "NOASSERTION"

// SBOM returns the bill of materials: the image as a package that contains its components, each of
// which contains its files with their digests, and the sources that they were made from.
func SBOM(image Image, build Build) ([]byte, error) {
	m := image.Manifest
	hexDigest, ok := strings.CutPrefix(image.Digest, "sha256:")
	if !ok {
		return nil, fmt.Errorf("writing the bill of materials: %q is no digest: it has to be sha256:hex", image.Digest)
	}
	for _, f := range m.Files {
		if f.Link == "" && image.SHA1[f.Path] == "" {
			return nil, fmt.Errorf("writing the bill of materials: %q has no SHA-1 digest, which SPDX 2.3 demands", f.Path)
		}
	}
	b := bill{sha1: image.SHA1, document: &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      m.Name + " " + m.PayloadVersion + " " + m.Architecture,
		DocumentNamespace: "https://spdx.org/spdxdocs/" + string(id(m.Name)) + "-" + hexDigest,
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "kata-payload-" + build.Version}},
			Created:  image.Created.UTC().Format(time.RFC3339),
		},
	}}
	whole := b.add(&spdx.Package{
		PackageName: m.Name, PackageSPDXIdentifier: "Image", PackageVersion: m.PayloadVersion, PackageDownloadLocation: noAssertion,
		PackageChecksums: checksum(hexDigest), PrimaryPackagePurpose: "CONTAINER",
	})
	b.relate("DOCUMENT", common.TypeRelationshipDescribe, whole)
	sources := b.sources(build)
	for _, c := range m.Components {
		files := b.filesOf(m, c)
		p, err := componentOf(c, files)
		if err != nil {
			return nil, fmt.Errorf("writing the bill of materials: %w", err)
		}
		component := b.add(p)
		b.relate(whole, common.TypeRelationshipContains, component)
		for i, s := range build.Sources {
			if s.feeds(c.Name) {
				b.relate(component, common.TypeRelationshipGeneratedFrom, sources[i])
			}
		}
		b.rpms(m, c, component)
		for _, f := range files {
			b.document.Files = append(b.document.Files, f)
			b.relate(component, common.TypeRelationshipContains, f.FileSPDXIdentifier)
		}
	}
	return b.text()
}

type bill struct {
	document *spdx.Document
	sha1     map[string]string
}

func (b bill) add(p *spdx.Package) common.ElementID {
	p.PackageLicenseConcluded, p.PackageLicenseDeclared, p.PackageCopyrightText = noAssertion, noAssertion, noAssertion
	b.document.Packages = append(b.document.Packages, p)
	return p.PackageSPDXIdentifier
}

func (b bill) relate(from common.ElementID, how string, to common.ElementID) {
	b.document.Relationships = append(b.document.Relationships, &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: how, RefB: common.DocElementID{ElementRefID: to},
	})
}

func (b bill) sources(build Build) []common.ElementID {
	var all []common.ElementID
	for i, s := range build.Sources {
		location := noAssertion
		if s.URI != "" {
			location = s.URI
		}
		p := &spdx.Package{
			PackageName: s.Name, PackageSPDXIdentifier: common.ElementID(fmt.Sprintf("Source-%d", i+1)), PackageVersion: s.Version,
			PackageDownloadLocation: location, PackageChecksums: checksum(s.SHA256), PrimaryPackagePurpose: "SOURCE",
		}
		if s.Tree {
			p.PackageChecksums, p.PackageComment = nil, "a directory; "+treeDigest+" "+s.SHA256
		}
		all = append(all, b.add(p))
	}
	return all
}

// rpms lists the RPM packages that are files of a component.
func (b bill) rpms(m manifest.Manifest, c manifest.Component, in common.ElementID) {
	for _, p := range m.Packages {
		if owner, ok := m.Component(p.Path); !ok || owner.Name != c.Name {
			continue
		}
		f, _ := m.File(p.Path)
		locator := fmt.Sprintf("pkg:rpm/%s@%s-%s?arch=%s", p.Name, escaped(p.Version), escaped(p.Release), p.Architecture)
		if p.Epoch != 0 {
			locator += fmt.Sprintf("&epoch=%d", p.Epoch)
		}
		b.relate(in, common.TypeRelationshipContains, b.add(&spdx.Package{
			PackageName: p.Name, PackageSPDXIdentifier: "RPM-" + id(p.Set+"-"+p.Name+"."+p.Architecture), PackageVersion: p.Version + "-" + p.Release,
			PackageDownloadLocation: noAssertion, PackageFileName: "./" + p.Path, PackageChecksums: checksum(f.SHA256),
			PackageExternalReferences: []*spdx.PackageExternalReference{{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: locator}},
		}))
	}
}

// escaped writes a version or release of RPM as a package URL has it.
func escaped(version string) string {
	return strings.NewReplacer("+", "%2B", "^", "%5E").Replace(version)
}

// componentOf describes a component. SPDX allows no files in a package that was not analyzed, and
// demands a digest of the digests of all files in one that was.
func componentOf(c manifest.Component, files []*spdx.File) (*spdx.Package, error) {
	p := &spdx.Package{
		PackageName: c.Name, PackageSPDXIdentifier: "Component-" + id(c.Name), PackageVersion: c.Version, PackageDownloadLocation: noAssertion,
	}
	if len(files) == 0 {
		return p, nil
	}
	code, err := utils.GetVerificationCode(files, "")
	if err != nil {
		return nil, err
	}
	p.FilesAnalyzed, p.IsFilesAnalyzedTagPresent, p.PackageVerificationCode = true, true, &code
	p.PackageLicenseInfoFromFiles = []string{noAssertion}
	return p, nil
}

// filesOf lists the regular files of a component. A link has no content of its own.
func (b bill) filesOf(m manifest.Manifest, c manifest.Component) (files []*spdx.File) {
	for _, f := range m.Files {
		if owner, ok := m.Component(f.Path); !ok || owner.Name != c.Name || f.Link != "" {
			continue
		}
		sum := sha256.Sum256([]byte(f.Path))
		files = append(files, &spdx.File{
			FileName: "./" + f.Path, FileSPDXIdentifier: common.ElementID("File-" + hex.EncodeToString(sum[:16])),
			Checksums:        append([]common.Checksum{{Algorithm: common.SHA1, Value: b.sha1[f.Path]}}, checksum(f.SHA256)...),
			LicenseConcluded: noAssertion, LicenseInfoInFiles: []string{noAssertion}, FileCopyrightText: noAssertion,
		})
	}
	return files
}

func (b bill) text() ([]byte, error) {
	text, err := json.MarshalIndent(b.document, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing the bill of materials: %w", err)
	}
	return append(text, '\n'), nil
}

func checksum(sha string) []common.Checksum {
	return []common.Checksum{{Algorithm: common.SHA256, Value: sha}}
}

// id replaces what may not be in an SPDX identifier.
func id(name string) common.ElementID {
	return common.ElementID(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, name))
}
