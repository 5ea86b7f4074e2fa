// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/signature/sigstore"

	"github.com/kata-node/kata-node/payload/inspect"
)

// repository is the root of the source tree, where `make payload` runs.
const repository = "../.."

// run returns what the program printed on its two outputs.
func run(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return runIn(t, nil, name, args...)
}

func runIn(t *testing.T, environment []string, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, diag bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000"), environment...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = repository, &out, &diag
	err = cmd.Run()
	return out.String(), diag.String(), err
}

// stage is the default payload's tree with any program in the shim's place.
func stage(t *testing.T, shim string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(repository, "test/payload/tree"))))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755))
	content, err := os.ReadFile(shim)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "usr/bin/containerd-shim-kata-v2"), content, 0o755))
	return dir
}

func TestTheDefaultPayloadIsBuiltAndShown(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	image := strings.TrimPrefix(server.URL, "http://") + "/kata/payload"
	layout := filepath.Join(t.TempDir(), "layout")

	var digests []string
	for _, to := range []string{"oci:" + layout + ":v1", "docker://" + image + ":v1"} {
		out, diag, err := run(t, kataPayload, "build", "--from", stage(t, kataPayload), "--describe", "test/payload/payload.toml", "--to", to, "--set", "version=1.2.3", "--tls-verify=false")
		require.NoError(t, err, diag)
		assert.Contains(t, diag, "layer shim ")
		name, digest, _ := strings.Cut(strings.TrimSpace(out), "@")
		assert.Contains(t, []string{image, "oci:" + layout}, name)
		digests = append(digests, digest)

		out, diag, err = run(t, kataPayload, "inspect", "--tls-verify=false", to)
		require.NoError(t, err, diag)
		assert.Contains(t, out, "kata-test 1.2.3 ("+runtime.GOARCH+")")
		assert.Contains(t, out, "usr/bin/containerd-shim-kata-v2")
	}
	assert.Equal(t, digests[0], digests[1], "staged and published apart")

	again := filepath.Join(t.TempDir(), "again")
	_, diag, err := run(t, kataPayload, "build", "--from", stage(t, kataPayload), "--describe", "test/payload/payload.toml", "--to", "oci:"+again+":v1", "--set", "version=1.2.3")
	require.NoError(t, err, diag)
	first, err := os.ReadFile(filepath.Join(layout, "index.json"))
	require.NoError(t, err)
	second, err := os.ReadFile(filepath.Join(again, "index.json"))
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second), "what is attached is reproducible, too")
	signedAndVerified(t, kataPayload, "oci:"+layout+":v1", "docker://"+image)
	archive := "oci-archive:" + filepath.Join(t.TempDir(), "payload.tar") + ":v1"
	out, diag, err := run(t, kataPayload, "push", "--tls-verify=false", "docker://"+image+"@"+digests[0], archive)
	require.NoError(t, err, diag)
	assert.Contains(t, out, "payload.tar@"+digests[0]+"\n")
	out, diag, err = run(t, kataPayload, "inspect", archive)
	require.NoError(t, err, diag)
	assert.Contains(t, out, "kata-test 1.2.3")

	document, diag, err := run(t, kataPayload, "inspect", "--manifest", "oci:"+layout+"@"+digests[0])
	require.NoError(t, err, diag)
	unpacked := stage(t, kataPayload)
	at := filepath.Join(unpacked, "usr/share/kata-payload/manifest.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(t, os.WriteFile(at, []byte(document), 0o600))
	m, _, err := inspect.Read(t.Context(), unpacked)
	require.NoError(t, err)
	for _, f := range m.Files {
		require.NoError(t, os.Chmod(filepath.Join(unpacked, f.Path), f.Mode.Perm()))
	}
	out, diag, err = run(t, kataPayload, "verify", unpacked)
	require.NoError(t, err, diag)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}\n$`, out)
	require.NoError(t, os.Remove(filepath.Join(unpacked, "usr/bin/containerd-shim-kata-v2")))
	_, diag, err = run(t, kataPayload, "verify", unpacked)
	require.Error(t, err)
	assert.Equal(t, "kata-payload: verifying payload: usr/bin/containerd-shim-kata-v2: is missing\n", diag)
}

// sources is a declaration of an unpacked archive, which stands for two architectures. pin is its
// sha256.
func sources(t *testing.T, pin string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"VERSION": "4.2.0\n", "versions.yaml": "assets: {kernel: {version: v6.18.35}}\n", "bin/containerd-shim-kata-v2": "#!/bin/sh\n",
		"share/kata-containers/kata-containers-initrd.img": "initrd", "share/kata-containers/kata-containers.img": strings.Repeat("image", 1000),
		"share/defaults/kata-containers/configuration-qemu.toml": "[hypervisor.qemu]\npath = \"/opt/kata/bin/qemu-system-x86_64\"\n",
	} {
		name = filepath.Join(dir, "unpacked/opt/kata", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o755))
	}
	declared := "name = \"kata\"\nkata = \"4.2.0\"\nshimCompatibility = \"kata-4.2\"\n"
	for _, architecture := range []string{"amd64", "arm64"} {
		declared += "[[archives]]\ndirectory = \"unpacked\"\nshim = \"go\"\narchitecture = \"" + architecture + "\"\nsha256 = \"" + pin + "\"\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sources.toml"), []byte(declared), 0o600))
	return filepath.Join(dir, "sources.toml")
}

func TestAPayloadIsBuiltFromSources(t *testing.T) {
	t.Parallel()
	kataPayload, to := program(t), "oci:"+filepath.Join(t.TempDir(), "layout")
	args := func(pin string) []string {
		return []string{"build", "--sources", sources(t, pin), "--profile", "minimal", "--architecture", "arm64,amd64", "--to", to}
	}
	out, diag, err := run(t, kataPayload, args("")...)
	require.Error(t, err)
	assert.Empty(t, out)
	match := regexp.MustCompile(`unpacked is not pinned: its sha256 is ([0-9a-f]{64}); look through it`).FindStringSubmatch(diag)
	require.Len(t, match, 2, diag)
	assert.NoDirExists(t, strings.TrimPrefix(to, "oci:"))

	out, diag, err = run(t, kataPayload, args(match[1])...)
	require.NoError(t, err, diag)
	assert.Regexp(t, `(?m)^in +guest +4\.2\.0 +1 files +6B$`, diag)
	assert.Regexp(t, `(?m)^left out +opt/kata/share/kata-containers/kata-containers\.img +unpacked +5kB$`, diag)
	assert.Equal(t, 1, strings.Count(diag, "note: this payload has no kernel for its guests, and its initrd loads no modules"), "profile minimal says what nodes need")
	assert.Contains(t, out, to+"@sha256:")
	out, diag, err = run(t, kataPayload, "inspect", to)
	require.NoError(t, err, diag)
	assert.Contains(t, out, "QEMU, virtiofsd, a kernel")
	assert.Contains(t, out, "this payload has no kernel for its guests")
	anIndexIsExplained(t, kataPayload, to, out)
	provenance := blobsWith(t, strings.TrimPrefix(to, "oci:"), `"predicateType": "https://slsa.dev/provenance/v1"`)
	require.Len(t, provenance, 2, "one for each architecture")
	assert.Contains(t, provenance[0], match[1])
	assert.Contains(t, provenance[0], `"profile": "minimal"`)
	index, err := layout.ImageIndexFromPath(strings.TrimPrefix(to, "oci:"))
	require.NoError(t, err)
	top, err := index.IndexManifest()
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(top.Manifests, func(d v1.Descriptor) bool { return d.MediaType.IsIndex() }), "both architectures are one name")
}

// blobsWith returns the blobs of a layout that have a mark.
func blobsWith(t *testing.T, layout, mark string) (found []string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	require.NoError(t, err)
	for _, blob := range blobs {
		text, err := os.ReadFile(blob)
		require.NoError(t, err)
		if strings.Contains(string(text), mark) {
			found = append(found, string(text))
		}
	}
	return found
}

// signedAndVerified copies an image to a registry, signs it there, and finds its documents.
func signedAndVerified(t *testing.T, kataPayload, from, repository string) {
	t.Helper()
	pair, err := sigstore.GenerateKeyPair([]byte("secret"))
	require.NoError(t, err)
	dir := t.TempDir()
	key, public, passphrase := filepath.Join(dir, "key"), filepath.Join(dir, "key.pub"), filepath.Join(dir, "passphrase")
	for file, content := range map[string][]byte{key: pair.PrivateKey, public: pair.PublicKey, passphrase: []byte("secret\n")} {
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	to := repository + ":signed"
	_, diag, err := run(t, kataPayload, "verify", "--tls-verify=false", "--key", public, repository+":v1")
	require.Error(t, err)
	assert.Contains(t, diag, "A signature was required, but no signature exists")
	out, diag, err := run(t, kataPayload, "push", "--tls-verify=false", "--sign-by-sigstore-private-key", key, "--sign-passphrase-file", passphrase, from, to)
	require.NoError(t, err, diag)
	verified, diag, err := run(t, kataPayload, "verify", "--tls-verify=false", "--key", public, to)
	require.NoError(t, err, diag)
	assert.Equal(t, out, verified)
	assert.Contains(t, diag, "the signature is the one that is demanded")
	assert.Regexp(t, `the manifest inside is the one that the label names, and \d files are as it says`, diag)
	explained, diag, err := run(t, kataPayload, "inspect", "--tls-verify=false", to)
	require.NoError(t, err, diag)
	assert.Regexp(t, `(?m)^signature of image +for `+regexp.QuoteMeta(strings.TrimPrefix(to, "docker://"))+` \(not verified\)`, explained)

	// What describes the image went along.
	_, digest, _ := strings.Cut(strings.TrimSpace(out), "@")
	copied := filepath.Join(dir, "copied")
	_, diag, err = run(t, kataPayload, "push", "--tls-verify=false", to, "oci:"+copied+":v1")
	require.NoError(t, err, diag)
	index, err := os.ReadFile(filepath.Join(copied, "index.json"))
	require.NoError(t, err)
	assert.Contains(t, string(index), strings.Replace(digest, ":", "-", 1))
	for _, mark := range []string{`"spdxVersion": "SPDX-2.3"`, `"predicateType": "https://slsa.dev/provenance/v1"`} {
		assert.Len(t, blobsWith(t, copied, mark), 1, mark)
	}
}
