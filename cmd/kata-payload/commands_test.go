// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/difference"
	"github.com/kata-node/kata-node/payload/overview"
)

// anIndexIsExplained checks what inspect prints about one for amd64 and arm64.
func anIndexIsExplained(t *testing.T, kataPayload, index, table string) {
	t.Helper()
	assert.Contains(t, table, "The index has 2 images:\n")
	assert.Regexp(t, `(?m)^arm64 +sha256:[0-9a-f]{64} +\S+ +\S+ +kata-oc$`, table)
	assert.Regexp(t, `(?m)^guest +zstd:chunked +\S+B +\d+\.\d % +6B +sha256:[0-9a-f]{64}$`, table)
	assert.Regexp(t, `(?m)^attached to image for arm64 +application/spdx\+json, `, table)
	assert.Contains(t, table, "annotation org.opencontainers.image.title")
	out, diag, err := run(t, kataPayload, "inspect", "--architecture", "arm64", index)
	require.NoError(t, err, diag)
	assert.Contains(t, out, "The image for arm64:\npayload  ")
	_, diag, err = run(t, kataPayload, "inspect", "--architecture", "s390x", index)
	require.Error(t, err)
	assert.Contains(t, diag, "has no image for s390x: it has amd64, arm64\n")
	out, diag, err = run(t, kataPayload, "inspect", "--json", index)
	require.NoError(t, err, diag)
	var o overview.Overview
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	require.Len(t, o.Images, 2)
	assert.Equal(t, "4.2.0", o.Images[1].Manifest.PayloadVersion)
	assert.Len(t, o.Attached, 4)
}

func TestAnUpdateIsExplainedBeforeItIsMade(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	var images []string
	for _, version := range []string{"1.0.0", "2.0.0"} {
		tree := stage(t, kataPayload)
		require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/bin/containerd-shim-kata-v2"), []byte(strings.Repeat("shim "+version, 10_000)), 0o755))
		images = append(images, "oci:"+t.TempDir()+":v1")
		_, diag, err := run(t, kataPayload, "build", "--from", tree, "--describe", "test/payload/payload.toml", "--set", "version="+version, "--to", images[len(images)-1])
		require.NoError(t, err, diag)
	}
	out, diag, err := run(t, kataPayload, append([]string{"diff"}, images...)...)
	require.NoError(t, err, diag)
	assert.Regexp(t, `(?m)^From kata-test 1\.0\.0 \(\w+\) to kata-test 2\.0\.0 \(\w+\):\n`, out)
	assert.Regexp(t, `(?m)^shim +1\.0\.0 +2\.0\.0 +\S+B +\S+B +100kB +1 +0$`, out)
	assert.Regexp(t, `(?m)^config +1\.0\.0 +2\.0\.0 +\S+B +\S+B +0B +0 +1$`, out)
	assert.Regexp(t, `(?m)^A node fetches \S+B, \d+\.\d % of the image, and writes files of \S+B\.$`, out)
	assert.Contains(t, out, "The payload's version changes from 1.0.0 to 2.0.0.\n")

	out, diag, err = run(t, kataPayload, append([]string{"diff", "--json"}, images...)...)
	require.NoError(t, err, diag)
	var d difference.Difference
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	assert.EqualValues(t, 100_000, d.Components[1].Written)
	assert.Equal(t, "2.0.0", d.To.Version)
}

func TestAHandlerThatNoNodeServesIsMarked(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	to := "oci:" + t.TempDir() + ":v1"
	_, diag, err := run(t, kataPayload, "build", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--to", to)
	require.NoError(t, err, diag)
	out, diag, err := run(t, kataPayload, "inspect", to)
	require.NoError(t, err, diag)
	assert.Regexp(t, `(?m)^handler kata-oc +vm, go dialect, usr/bin/containerd-shim-kata-v2$`, out)
	assert.Regexp(t, `(?m)^handler kata-oc-rs +vm, .* \(served where spec\.config\.handlers names rs\)$`, out)
}

func TestShellsCompleteWhatThereIs(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	for want, args := range map[string][]string{
		"host-qemu\nminimal\nruntime-rs\nself-contained\n:4\n":     {"build", "--profile", ""},
		"amd64,arm64\namd64,s390x\n:4\n":                           {"build", "--architecture", "amd64,"},
		"zstd:chunked\ngzip\n:4\n":                                 {"build", "--compression", ""},
		"oci:\noci-archive:\n:6\n":                                 {"build", "--to", "oci"},
		"docker://\noci:\noci-archive:\ncontainers-storage:\n:2\n": {"inspect", ""},
		"docker://\n:6\n":                                          {"diff", "oci:a", "dock"},
		":4\n":                                                     {"diff", "oci:a", "oci:b", ""},
		"amd64\narm64\ns390x\n:4\n":                                {"inspect", "--architecture", ""},
		"add\tAdd a payload by digest at the end of a catalogue, unless its range overlaps or leaves a gap\n:4\n": {"catalog", "ad"},
	} {
		out, _, err := run(t, kataPayload, append([]string{"__complete"}, args...)...)
		require.NoError(t, err)
		assert.Equal(t, want, out, args)
	}
}

func TestManualPagesAreTheSameOnEveryMachine(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	pages := func(environment ...string) map[string]string {
		dir := filepath.Join(t.TempDir(), "man1")
		_, diag, err := runIn(t, environment, kataPayload, "man", dir)
		require.NoError(t, err, diag)
		found := map[string]string{}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, entry := range entries {
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			require.NoError(t, err)
			found[entry.Name()] = string(text)
		}
		return found
	}
	first := pages("TZ=UTC", "REGISTRY_AUTH_FILE=/somewhere")
	assert.Equal(t, first, pages("TZ=Asia/Tokyo", "HOME=/elsewhere"))
	for _, name := range []string{"kata-payload.1", "kata-payload-build.1", "kata-payload-diff.1", "kata-payload-catalog-add.1"} {
		assert.Contains(t, first[name], `"Nov 2023" "kata-payload unreleased"`, name)
		assert.NotContains(t, first[name], "Auto generated", name)
	}
	assert.Contains(t, first["kata-payload-catalog.1"], `openshift: ">=4.17, <4.20"`)
}
