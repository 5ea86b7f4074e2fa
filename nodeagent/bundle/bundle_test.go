// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/bundle"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

// unpack returns the parts of an archive.
func unpack(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	found := map[string]string{}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		content, err := io.ReadAll(files)
		require.NoError(t, err)
		found[header.Name] = string(content)
	}
}

func says(text string, err error) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		if text == "" {
			return nil, err
		}
		return []byte(text), err
	}
}

func TestASourceThatFailsCostsItsOwnPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := bundle.New(&out, bundle.Scrubber{}, noon(), bundle.Patience)
		require.NoError(t, b.Gather(t.Context(), "status.txt", says("all is well\n", nil)))
		require.NoError(t, b.Gather(t.Context(), "half.txt", says("one line\n", errors.New("input/output error"))))
		require.NoError(t, b.Gather(t.Context(), "none.txt", says("", errors.New("no such file"))))
		gone := make(chan struct{})
		defer close(gone)
		require.NoError(t, b.Gather(t.Context(), "hung.txt", func(context.Context) ([]byte, error) { <-gone; return nil, nil }))
		require.NoError(t, b.Close())
		assert.Equal(t, map[string]string{
			"status.txt": "all is well\n", "half.txt": "one line\n", "half.txt.problem": "input/output error\n", "none.txt.problem": "no such file\n",
			"hung.txt.problem": "no answer within 20s: context deadline exceeded\n",
		}, unpack(t, out.Bytes()))
	})
}

func TestAPartIsBoundedAndKeepsItsEnd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := bundle.New(&out, bundle.Scrubber{}, noon(), bundle.Patience)
	require.NoError(t, b.Gather(t.Context(), "journal.txt", says(strings.Repeat(strings.Repeat("a line ", 100)+"\n", 7000)+"the last one\n", nil)))
	require.NoError(t, b.Close())
	journal := unpack(t, out.Bytes())["journal.txt"]
	assert.Less(t, len(journal), 5<<20)
	assert.True(t, strings.HasPrefix(journal, "[the beginning was left out]\n"))
	assert.True(t, strings.HasSuffix(journal, "the last one\n"))
}

func TestSecretsThatAreKnownAreRemovedInEveryForm(t *testing.T) {
	t.Parallel()
	login := base64.StdEncoding.EncodeToString([]byte("robot:s3cr3t/pull+word"))
	s := bundle.NewScrubber(
		[]byte(`{"auths": {"registry.example": {"auth": "`+login+`", "identitytoken": "id-token-1"}}}`),
		[]byte("users:\n- name: kubelet\n  user: {token: kube-token-1, client-key-data: S0VZREFUQQ==, client-certificate: /pki/a.pem}\n"),
		[]byte("{ not readable"),
	)
	for _, planted := range []string{
		login, "s3cr3t/pull+word", "s3cr3t%2Fpull%2Bword", base64.StdEncoding.EncodeToString([]byte("s3cr3t/pull+word")), "id-token-1", "kube-token-1", "S0VZREFUQQ==", "KEYDATA",
	} {
		assert.Equal(t, "x "+bundle.Removed+" y", string(s.Clean([]byte("x "+planted+" y"))), planted)
	}
	const harmless = "payload registry.example/kata@sha256:0123456789abcdef is served; /pki/a.pem; registry.example"
	assert.Equal(t, harmless, string(s.Clean([]byte(harmless))))
}

func TestWhatLooksLikeASecretIsRemoved(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"HTTPS_PROXY=http://user:hunter22@proxy.example:3128":                    "HTTPS_PROXY=http://[removed]@proxy.example:3128",
		"Authorization: Bearer abc.def-123":                                      "Authorization: Bearer [removed]",
		`{"auth": "cm9ib3Q6eA=="}`:                                               `{"auth": "[removed]"}`,
		"password = 'hunter22'":                                                  "password = '[removed]'",
		`"registryToken": "abcdef"`:                                              `"registryToken": "[removed]"`,
		`msg="got {\"password\":\"hunter22\",\"auth\":\"cm9ib3Q6eA==\"}"`:        `msg="got {\"password\":\"[removed]\",\"auth\":"[removed]"}"`,
		"MY_API_KEY=abcdef other":                                                "MY_API_KEY=[removed] other",
		"token: /9j/4AAQSkZJRg":                                                  "token: [removed]",
		"client-key-data: QUJD":                                                  "client-key-data: [removed]",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl x":                    "[removed] x",
		"a -----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY----- b": "a [removed] b",
		"MHcC\nAAAA\n-----END RSA PRIVATE KEY----- b":                            "[removed] b",
		"a -----BEGIN PRIVATE KEY-----\nMHcC":                                    "a [removed]",
		"pull_secret = '/var/lib/kubelet/config.json'":                           "pull_secret = '/var/lib/kubelet/config.json'",
		"level=info msg=\"Started: pull payload r.example/p@sha256:aa\"":         "level=info msg=\"Started: pull payload r.example/p@sha256:aa\"",
		"kata-oc-proof: the token of no one":                                     "kata-oc-proof: the token of no one",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----":           "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
	} {
		assert.Equal(t, want, string(bundle.Scrubber{}.Clean([]byte(text))))
	}
}
