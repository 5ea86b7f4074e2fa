// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"crypto/sha256"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/transport"
)

// store names a store of container images that belongs to the test.
func store(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a store of container images needs root")
	}
	dir := t.TempDir()
	return "containers-storage:[vfs@" + dir + "/root+" + dir + "/run]"
}

func TestAnImageGoesFromAnyPlaceToAnyOther(t *testing.T) {
	t.Parallel()
	p := payload(t, "1.0.0")
	host := serve(t, httptest.NewServer, nil)
	dir := t.TempDir()
	from := target(t, "docker://"+host+"/kata/built:v1")
	_, err := transport.Push(t.Context(), p.Image, from, options(t))
	require.NoError(t, err)
	for _, to := range []string{"oci:" + dir + "/layout:v1", "oci-archive:" + dir + "/payload.tar:v1", "oci-archive:" + dir + "/untagged.tar", "oci:" + dir + "/untagged", "docker://" + host + "/kata/copied:v1"} {
		to := target(t, to)
		got, err := transport.Copy(t.Context(), from, to, options(t))
		require.NoError(t, err, to)
		assert.Equal(t, p.Digest, got.Digest)
		sameManifest(t, p, to)
		byName := got.Name
		if !transport.IsTarget(byName) {
			byName = "docker://" + byName
		}
		from = target(t, byName)
		if from.String() != "oci-archive:"+dir+"/payload.tar@"+p.Digest {
			sameManifest(t, p, from)
		}
	}
}

func TestAStoreKeepsTheDigest(t *testing.T) {
	t.Parallel()
	in := store(t)
	p := payload(t, "1.0.0")
	to := target(t, in+"localhost/kata/payload:v1")
	got, err := transport.Push(t.Context(), p.Image, to, options(t))
	require.NoError(t, err)
	assert.Equal(t, in+"localhost/kata/payload@"+p.Digest, got.Name)
	for _, name := range []string{to.String(), got.Name} {
		opened := openTarget(t, target(t, name))
		assert.Equal(t, p.Digest, opened.Digest)
		m, _, err := transport.Manifest(opened.Images[0])
		require.NoError(t, err)
		assert.Equal(t, p.Manifest.Files, m.Files)
	}
	_, err = transport.Open(t.Context(), target(t, in+"localhost/kata/payload:v2"), options(t))
	require.ErrorContains(t, err, "opening "+in+"localhost/kata/payload:v2: ")
}

func TestArchivesOfOneImageAreEqualAndReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	first, second := payload(t, "1.0.0"), payload(t, "2.0.0")
	var sums [][sha256.Size]byte
	dir := t.TempDir()
	for _, name := range []string{"a.tar", "b.tar"} {
		push(t, first, "oci-archive:"+dir+"/"+name+":v1")
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		sums = append(sums, sha256.Sum256(content))
	}
	assert.Equal(t, sums[0], sums[1])

	to := target(t, "oci-archive:"+dir+"/a.tar:v1")
	_, err := transport.Push(t.Context(), broken{second.Image}, to, options(t))
	require.ErrorContains(t, err, "input/output error")
	sameManifest(t, first, to)
	_, err = transport.Push(t.Context(), second.Image, to, options(t))
	require.NoError(t, err)
	sameManifest(t, second, to)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2)
	info, err := left[0].Info()
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())
}

// A process that was killed as it wrote holds no lock.
func TestWhatAKilledPushLeftIsDeletedByTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	layout, archive := filepath.Join(dir, "layout"), filepath.Join(dir, "payload.tar")
	abandoned := []string{filepath.Join(layout, ".incoming-1"), filepath.Join(dir, ".payload.tar.incoming-1"), filepath.Join(dir, ".payload.tar.incoming-2")}
	require.NoError(t, os.MkdirAll(filepath.Join(abandoned[0], "blobs"), 0o755))
	for _, file := range append(abandoned[1:], filepath.Join(abandoned[0], "blobs", "half")) {
		require.NoError(t, os.WriteFile(file, []byte("half"), 0o600))
	}
	held, err := os.Open(abandoned[2])
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, held.Close()) })
	require.NoError(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))

	p := payload(t, "1.0.0")
	push(t, p, "oci:"+layout+":v1")
	push(t, p, "oci-archive:"+archive+":v1")
	assert.NoDirExists(t, abandoned[0])
	assert.NoFileExists(t, abandoned[1])
	assert.FileExists(t, abandoned[2], "another process writes to it")
}

func TestOneProcessWritesToALayoutAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held, err := os.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, held.Close()) })
	require.NoError(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))
	_, err = transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "oci:"+dir), options(t))
	require.ErrorContains(t, err, "another process is writing to "+dir+": wait until it has ended")
}
