// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMistakesEndWithOneSentenceAndExitCodeOne(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	for want, args := range map[string][]string{
		`begin it with docker://, oci:`:                            {"build", "--from", ".", "--describe", "x", "--to", "payload:v1"},
		`required flag(s) "to" not set`:                            {"build"},
		`at least one of the flags in the group [sources from] is`: {"build", "--to", "oci:x"},
		`were all set`:                                              {"build", "--to", "oci:x", "--sources", "x", "--from", "y", "--describe", "z"},
		`--architecture names amd64 twice`:                          {"build", "--to", "oci:x", "--sources", "/nowhere", "--architecture", "amd64,amd64"},
		`reading sources: open /nowhere: no such file`:              {"build", "--to", "oci:x", "--sources", "/nowhere"},
		`"host-qemu" is not made for architecture "ppc64le"`:        {"build", "--to", "oci:x", "--sources", "payload/sources.toml", "--profile", "host-qemu", "--architecture", "ppc64le"},
		`profile "all" is unknown: the profiles are host-qemu, `:    {"build", "--to", "oci:x", "--sources", "payload/sources.toml", "--profile", "all"},
		`reading description: open /nowhere: no such file`:          {"build", "--from", ".", "--describe", "/nowhere", "--to", "oci:x"},
		`--set "version": write it as key=value`:                    {"build", "--from", ".", "--describe", "test/payload/payload.toml", "--to", "oci:x", "--set", "version"},
		`compression "xz": must be zstd:chunked or gzip`:            {"build", "--from", ".", "--describe", "test/payload/payload.toml", "--to", "oci:x", "--compression", "xz"},
		`the keys that can be set are`:                              {"build", "--from", ".", "--describe", "test/payload/payload.toml", "--to", "oci:x", "--set", "a=b"},
		`name a directory, oci:DIR or docker://registry/repository`: {"inspect", "nowhere"},
		`opening oci:nowhere:v1: `:                                  {"inspect", "oci:nowhere:v1"},
		`reading payload manifest: `:                                {"verify", "."},
		`unknown command "mount" for "kata-payload"`:                {"mount"},
		`signing: no key: name one with`:                            {"push", "--sign-identity=a/b:c", "oci:x", "oci:y"},
		`a directory has no signature: name an image`:               {"verify", "--key", "x", "."},
		`only registries hold signatures`:                           {"push", "--sign-by-sigstore-private-key=x", "oci:dist", "oci:y"},
		`opening oci:nowhere: `:                                     {"diff", "oci:nowhere", "oci:nowhere"},
		`begin it with docker://`:                                   {"diff", ".", "."},
		`[json manifest] were all set`:                              {"inspect", "--json", "--manifest", "."},
		`accepts 2 arg(s), received 1`:                              {"push", "oci:x"},
		`publishing to oci:x: opening oci:nowhere: `:                {"push", "oci:nowhere", "oci:x"},
		`invalid argument "maybe" for "--tls-verify"`:               {"push", "--tls-verify=maybe", "oci:nowhere", "oci:x"},
	} {
		out, diag, err := run(t, kataPayload, args...)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, want)
		assert.Equal(t, 1, exit.ExitCode(), want)
		assert.Empty(t, out, want)
		assert.Contains(t, diag, want)
		assert.Equal(t, 1, strings.Count(diag, "\n"), diag)
	}
}
