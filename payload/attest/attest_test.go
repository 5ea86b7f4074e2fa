// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/kata-node/kata-node/payload/attest"
	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	digest  = "sha256:" + "abababababababababababababababababababababababababababababababab"
	rpm     = manifest.PackageDir + "/host/qemu-kvm.rpm"
	content = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	weak    = "efefefefefefefefefefefefefefefefefefefef"
	shim    = "usr/bin/containerd-shim-kata-v2"
	initrd  = "usr/share/guest/initrd"
)

// image has a component of each kind.
func image() attest.Image {
	return attest.Image{Digest: digest, Created: time.Unix(1_700_000_000, 0), SHA1: map[string]string{shim: weak, initrd: weak, rpm: weak}, Manifest: manifest.Manifest{
		Name: "kata", PayloadVersion: "3.20.0", Architecture: "amd64",
		Components: []manifest.Component{
			{Name: "guest base", Version: "1", Paths: []string{"usr/share/guest"}},
			{Name: "rpms-host", Version: "1", Paths: []string{manifest.PackageDir}},
			{Name: "shim", Version: "3.20.0", Paths: []string{}},
		},
		Files: []manifest.File{
			{Path: shim, SHA256: content},
			{Path: initrd, SHA256: content},
			{Path: "usr/share/guest/link", Link: "initrd"},
			{Path: rpm, SHA256: content},
		},
		Packages: []manifest.Package{{Set: "host", Name: "qemu-kvm", Epoch: 17, Version: "9.1", Release: "1^git.el9", Architecture: "x86_64", Path: rpm}},
	}}
}

func build() attest.Build {
	return attest.Build{Version: "0.1.0", Parameters: map[string]string{"profile": "host-qemu", "architecture": "amd64", "set": "a<b"}, Sources: []attest.Source{
		{Name: "kata-static", Version: "3.20.0", URI: "https://example.com/kata-static.tar.zst", SHA256: content, Components: []string{"shim"}},
		{Name: "payload.toml", SHA256: content},
		{Name: "unpacked", SHA256: content, Tree: true},
	}}
}

func TestABillOfMaterialsNamesEveryFileOnce(t *testing.T) {
	t.Parallel()
	text, err := attest.SBOM(image(), build())
	require.NoError(t, err)
	d, err := spdxjson.Read(bytes.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, "SPDX-2.3", d.SPDXVersion)
	assert.Equal(t, "https://spdx.org/spdxdocs/kata-"+strings.TrimPrefix(digest, "sha256:"), d.DocumentNamespace)
	assert.Equal(t, "2023-11-14T22:13:20Z", d.CreationInfo.Created)
	var packages, files, relations []string
	for _, p := range d.Packages {
		packages = append(packages, string(p.PackageSPDXIdentifier)+" "+p.PackageName+" "+p.PackageVersion+" "+p.PackageDownloadLocation)
		assert.Equal(t, strings.HasPrefix(string(p.PackageSPDXIdentifier), "Component-"), p.FilesAnalyzed, "files may be in these alone")
		if p.FilesAnalyzed {
			// SHA-1 of the digests of its files in order: here of one.
			assert.Equal(t, "953c31977805a6e1f28ff34fd123e386a4dd1f16", p.PackageVerificationCode.Value)
		}
	}
	assert.Equal(t, []string{
		"Image kata 3.20.0 NOASSERTION",
		"Source-1 kata-static 3.20.0 https://example.com/kata-static.tar.zst", "Source-2 payload.toml  NOASSERTION", "Source-3 unpacked  NOASSERTION",
		"Component-guest-base guest base 1 NOASSERTION", "Component-rpms-host rpms-host 1 NOASSERTION", "RPM-host-qemu-kvm.x86-64 qemu-kvm 9.1-1^git.el9 NOASSERTION",
		"Component-shim shim 3.20.0 NOASSERTION",
	}, packages)
	for _, f := range d.Files {
		files = append(files, f.FileName)
		assert.Equal(t, []common.Checksum{{Algorithm: common.SHA1, Value: weak}, {Algorithm: common.SHA256, Value: content}}, f.Checksums)
	}
	assert.Equal(t, []string{"./usr/share/guest/initrd", "./" + rpm, "./usr/bin/containerd-shim-kata-v2"}, files)
	for _, r := range d.Relationships {
		relations = append(relations, string(r.RefA.ElementRefID)+" "+r.Relationship+" "+string(r.RefB.ElementRefID))
	}
	assert.Contains(t, string(text), "pkg:rpm/qemu-kvm@9.1-1%5Egit.el9?arch=x86_64")
	assert.Contains(t, relations, "Component-rpms-host CONTAINS RPM-host-qemu-kvm.x86-64")
	assert.Contains(t, relations, "DOCUMENT DESCRIBES Image")
	assert.Contains(t, relations, "Image CONTAINS Component-shim")
	assert.Contains(t, relations, "Component-shim GENERATED_FROM Source-1")
	assert.NotContains(t, relations, "Component-guest-base GENERATED_FROM Source-1")
	assert.Contains(t, relations, "Component-guest-base GENERATED_FROM Source-2")
	_, err = attest.SBOM(attest.Image{Digest: "latest"}, build())
	require.ErrorContains(t, err, `"latest" is no digest`)
	unhashed := image()
	delete(unhashed.SHA1, initrd)
	_, err = attest.SBOM(unhashed, build())
	require.ErrorContains(t, err, `"usr/share/guest/initrd" has no SHA-1 digest, which SPDX 2.3 demands`)
}

func TestProvenanceHasSourcesAndParameters(t *testing.T) {
	t.Parallel()
	text, err := attest.Provenance(image(), build())
	require.NoError(t, err)
	var s intoto.Statement
	require.NoError(t, protojson.Unmarshal(text, &s))
	require.NoError(t, s.Validate())
	assert.Equal(t, attest.PredicateType, s.GetPredicateType())
	assert.Equal(t, strings.TrimPrefix(digest, "sha256:"), s.GetSubject()[0].GetDigest()["sha256"])
	inner, err := json.Marshal(s.GetPredicate())
	require.NoError(t, err)
	var p provenance.Provenance
	require.NoError(t, protojson.Unmarshal(inner, &p))
	require.NoError(t, p.Validate())
	assert.Equal(t, "host-qemu", p.GetBuildDefinition().GetExternalParameters().GetFields()["profile"].GetStringValue())
	require.Len(t, p.GetBuildDefinition().GetResolvedDependencies(), 3)
	assert.NotContains(t, p.GetBuildDefinition().GetResolvedDependencies()[2].GetDigest(), "sha256")
	assert.Equal(t, content, p.GetBuildDefinition().GetResolvedDependencies()[0].GetDigest()["sha256"])
	assert.Equal(t, "0.1.0", p.GetRunDetails().GetBuilder().GetVersion()["kata-payload"])
	assert.Contains(t, string(text), `"a<b"`)
	_, err = attest.Provenance(attest.Image{}, build())
	require.ErrorContains(t, err, "writing the provenance: ")
}

func TestDocumentsAreReproducible(t *testing.T) {
	t.Parallel()
	for _, write := range []func(attest.Image, attest.Build) ([]byte, error){attest.SBOM, attest.Provenance} {
		want, err := write(image(), build())
		require.NoError(t, err)
		for range 20 {
			moved := image()
			moved.Created = moved.Created.In(time.FixedZone("elsewhere", 3600))
			got, err := write(moved, build())
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		}
	}
}
