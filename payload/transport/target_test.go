// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/transport"
)

func TestTargetsAreReadAsSkopeoReadsThem(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"oci:dist/payload":                        "",
		"oci:/var/tmp/payload:v1":                 "",
		"oci:dist/payload@" + digest:              "",
		"oci:./dist//payload:v1":                  "oci:dist/payload:v1",
		"oci-archive:payload.tar":                 "",
		"oci-archive:/tmp/payload.tar:v1":         "",
		"containers-storage:payload":              "containers-storage:docker.io/library/payload:latest",
		"containers-storage:localhost/payload:v1": "",
		"containers-storage:[vfs@/var/store+/run/store]localhost/payload:v1": "",
		"docker://payload":                          "docker://docker.io/library/payload:latest",
		"docker://registry.example/kata/payload":    "docker://registry.example/kata/payload:latest",
		"docker://registry.example:5000/payload:v1": "",
		"docker://127.0.0.1:5000/payload@" + digest: "",
	} {
		if want == "" {
			want = text
		}
		parsed, err := transport.ParseTarget(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, parsed.String())
	}
}

func TestTargetsThatMeanNothingAreRefusedWithARemedy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"registry.example/payload:v1": "begin it with docker://, oci:",
		"":                            "begin it with docker://, oci:",
		"oci:":                        "no path: write oci:PATH",
		"oci:dir:a:b":                 `"a:b" is no tag`,
		"oci:dir:":                    `"" is no tag`,
		"oci:dir@sha256:ab":           `"sha256:ab" is no digest`,
		"oci-archive:":                "no path: write oci-archive:PATH",
		"containers-storage:[vfs@x":   `its store does not end`,
		"containers-storage:[vfs@x]":  `invalid reference format`,
		"docker://":                   `target "docker://": `,
		"docker://Registry/UPPER":     `target "docker://Registry/UPPER": `,
	} {
		_, err := transport.ParseTarget(text)
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), "\n", text)
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("oci:dir:tag")
	f.Add("containers-storage:[overlay@/a+/b:c=d]name:tag")
	f.Add("docker://registry.example/kata/payload@sha256:" + strings.Repeat("ab", 32))
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := transport.ParseTarget(text)
		if err != nil {
			return
		}
		again, err := transport.ParseTarget(parsed.String())
		require.NoError(t, err, parsed.String())
		require.Equal(t, parsed, again)
	})
}
