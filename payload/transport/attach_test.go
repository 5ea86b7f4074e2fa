// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/transport"
)

func document(subject, text string) transport.Attachment {
	return transport.Attachment{Subject: subject, Type: "application/spdx+json", Document: []byte(text), Annotations: map[string]string{"org.example": text}}
}

func attaching(t *testing.T, all ...transport.Attachment) transport.Options {
	t.Helper()
	o := options(t)
	o.Attachments = all
	return o
}

func fallback(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// referrers reads what a registry says is attached, and each document.
func referrers(t *testing.T, url string) (descriptors []spec.Descriptor, documents []string) {
	t.Helper()
	var list spec.Index
	get(t, url, &list)
	repository := url[:strings.LastIndex(url[:strings.LastIndex(url, "/")], "/")]
	for _, d := range list.Manifests {
		var m spec.Manifest
		get(t, repository+"/manifests/"+d.Digest.String(), &m)
		assert.Equal(t, "application/spdx+json", m.ArtifactType)
		assert.Equal(t, spec.MediaTypeEmptyJSON, m.Config.MediaType)
		require.NotNil(t, m.Subject)
		require.Len(t, m.Layers, 1)
		documents = append(documents, string(get(t, repository+"/blobs/"+m.Layers[0].Digest.String(), nil)))
	}
	return list.Manifests, documents
}

func get(t *testing.T, url string, into any) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, string(text))
	if into != nil {
		require.NoError(t, json.Unmarshal(text, into))
	}
	return text
}

func TestDocumentsAreReferrersOfTheirImage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	index, amd64, arm64 := both(t, "1.0.0")
	to := target(t, "docker://"+strings.TrimPrefix(server.URL, "http://")+"/kata/payload:v1")
	o := attaching(t, document(amd64.Digest, "amd64"), document(arm64.Digest, "arm64"))
	for range 2 {
		_, err := transport.Push(t.Context(), index, to, o)
		require.NoError(t, err)
	}
	for architecture, digest := range map[string]string{"amd64": amd64.Digest, "arm64": arm64.Digest} {
		for _, url := range []string{"/referrers/" + digest, "/manifests/" + fallback(digest)} {
			_, documents := referrers(t, server.URL+"/v2/kata/payload"+url)
			require.Equal(t, []string{architecture}, documents, url)
		}
	}
	_, err := transport.Push(t.Context(), amd64.Image, to, attaching(t, document(arm64.Digest, "x")))
	require.ErrorContains(t, err, "is not among what is pushed")
}

func TestForeignEntriesOfTheListStay(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	p, other := payload(t, "1.0.0"), payload(t, "2.0.0")
	push(t, other, "docker://"+host+"/kata/payload:v2")
	to := target(t, "docker://"+host+"/kata/payload:v1")
	list := "http://" + host + "/v2/kata/payload/manifests/" + fallback(p.Digest)
	foreign := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"a":"b"},"manifests":[` +
		`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + other.Digest + `","size":1,"x-future":{"kept":true}}]}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, list, strings.NewReader(foreign))
	require.NoError(t, err)
	request.Header.Set("Content-Type", spec.MediaTypeImageIndex)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusCreated, response.StatusCode)

	_, err = transport.Push(t.Context(), p.Image, to, attaching(t, document(p.Digest, "bill")))
	require.NoError(t, err)
	text := get(t, list, nil)
	assert.Contains(t, string(text), `"x-future":{"kept":true}`)
	assert.Contains(t, string(text), `"annotations":{"a":"b"}`)
	assert.Contains(t, string(text), `"artifactType":"application/spdx+json"`)
}

func TestDocumentsGoWithTheirImage(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	dir := filepath.Join(t.TempDir(), "layout")
	index, amd64, _ := both(t, "1.0.0")
	first := target(t, "docker://"+host+"/kata/payload:v1")
	_, err := transport.Push(t.Context(), index, first, attaching(t, document(amd64.Digest, "bill")))
	require.NoError(t, err)
	layout, second := target(t, "oci:"+dir+":v1"), target(t, "docker://"+host+"/elsewhere/payload:v1")
	_, err = transport.Copy(t.Context(), first, layout, options(t))
	require.NoError(t, err)
	_, err = transport.Copy(t.Context(), layout, second, options(t))
	require.NoError(t, err)
	_, documents := referrers(t, "http://"+host+"/v2/elsewhere/payload/manifests/"+fallback(amd64.Digest))
	assert.Equal(t, []string{"bill"}, documents)
	sameManifest(t, amd64, target(t, "docker://"+host+"/elsewhere/payload@"+amd64.Digest))

	// The layout lists them in the same way, and takes more.
	before := files(t, dir)
	_, err = transport.Copy(t.Context(), first, layout, options(t))
	require.NoError(t, err)
	assert.Equal(t, before, files(t, dir))
	opened := openTarget(t, layout)
	assert.True(t, opened.Index)
	assert.False(t, target(t, "oci-archive:x").HoldsAttachments())
	archive := target(t, "oci-archive:"+filepath.Join(t.TempDir(), "payload.tar"))
	_, err = transport.Copy(t.Context(), first, archive, options(t))
	require.NoError(t, err, "without its documents")
	_, err = transport.Push(t.Context(), index, archive, attaching(t, document(amd64.Digest, "bill")))
	require.ErrorContains(t, err, "documents can be attached in registries and layouts only: push it to docker:// or oci:")
}

func TestAttachedDocumentsAreSignedToo(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	p := payload(t, "1.0.0")
	key, _ := newKey(t, "")
	o := attaching(t, document(p.Digest, "bill"))
	o.Signing = key
	_, err := transport.Push(t.Context(), p.Image, target(t, "docker://"+host+"/kata/payload:v1"), o)
	require.NoError(t, err)
	descriptors, _ := referrers(t, "http://"+host+"/v2/kata/payload/manifests/"+fallback(p.Digest))
	require.Len(t, descriptors, 1)
	get(t, "http://"+host+"/v2/kata/payload/manifests/"+fallback(descriptors[0].Digest.String())+".sig", nil)
}

func TestALayoutWithDocumentsIsALayout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := payload(t, "1.0.0")
	to := target(t, "oci:"+dir+":v1")
	_, err := transport.Push(t.Context(), p.Image, to, attaching(t, document(p.Digest, "bill")))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	var index spec.Index
	require.NoError(t, json.Unmarshal(text, &index))
	require.Len(t, index.Manifests, 2)
	assert.Equal(t, fallback(p.Digest), index.Manifests[0].Annotations[spec.AnnotationRefName])
	sameManifest(t, p, to)
	_, err = transport.Push(t.Context(), broken{p.Image}, target(t, "oci:"+t.TempDir()), attaching(t, document("sha256:x", "bill")))
	require.Error(t, err)
}
