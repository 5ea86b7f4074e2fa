// SPDX-License-Identifier: Apache-2.0

// Package payload_test builds payloads from archives in the form of Kata's releases, in all the
// ways in which sources can be declared.
package payload_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/kata-node/kata-node/payload/source/fetch"
	"github.com/kata-node/kata-node/payload/stage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/upstream"
)

// program builds the program of an architecture's archives, once.
func program(t *testing.T, architecture string) string {
	t.Helper()
	name, err := upstream.BuildProgram(t.Context(), "../..", t.TempDir(), architecture)
	require.NoError(t, err)
	return name
}

// declare returns sources.toml with pins that are measured here.
func declare(t *testing.T, kata string, locations ...source.Location) source.Sources {
	t.Helper()
	text := fmt.Sprintf("name = \"kata\"\nkata = %q\nshimCompatibility = \"kata\"\n", kata)
	for _, l := range locations {
		text += fmt.Sprintf("[[archives]]\nurl = %q\nfile = %q\nsha256 = %q\n", l.URL, l.File, l.SHA256)
	}
	s, err := source.Parse([]byte(text))
	require.NoError(t, err)
	return s
}

func measure(t *testing.T, from archive.Source) string {
	t.Helper()
	_, digest, err := archive.Survey(t.Context(), from, archive.DefaultLimits(), nil)
	require.NoError(t, err)
	return digest
}

// files writes archives and returns where they are.
func files(t *testing.T, program string, releases ...upstream.Release) (locations []source.Location) {
	t.Helper()
	for _, r := range releases {
		name, err := r.Write(t.TempDir(), program)
		require.NoError(t, err)
		locations = append(locations, source.Location{File: name, SHA256: measure(t, archive.File(name))})
	}
	return locations
}

// build stages and assembles a payload.
func build(t *testing.T, s source.Sources, profile, architecture string) (assemble.Payload, stage.Contents, error) {
	t.Helper()
	in := stage.Input{
		Sources: s, Profile: profile, Architecture: architecture, Tree: t.TempDir(),
		Cache: fetch.Cache{Dir: filepath.Join(t.TempDir(), "cache"), FirstDelay: 1}, Limits: archive.DefaultLimits(),
	}
	staged, err := stage.Build(t.Context(), in)
	if err != nil {
		return assemble.Payload{}, stage.Contents{}, err
	}
	p, err := assemble.Build(t.Context(), assemble.Input{Tree: in.Tree, Description: staged.Description, WorkDir: t.TempDir()})
	return p, staged.Contents, err
}

// pair is what upstream ships of Kata 4.1 and later.
func pair(architecture string) []upstream.Release {
	return []upstream.Release{
		{Kata: "4.2.0", Architecture: architecture, Go: true, Form: "tar.zst"},
		{Kata: "4.2.0", Architecture: architecture, RuntimeRS: true, Form: "tar.zst"},
	}
}

func TestEveryFormOfAReleaseMakesEveryProfile(t *testing.T) {
	t.Parallel()
	for architecture, releases := range map[string][][]upstream.Release{
		"amd64": {
			pair("amd64"),
			{{Kata: "4.0.0", Architecture: "amd64", Go: true, RuntimeRS: true, Form: "tar.zst"}},
			{{Kata: "3.20.0", Architecture: "amd64", Go: true, RuntimeRS: true, Form: "tar.xz"}},
			{{Kata: "3.1.3", Architecture: "amd64", Go: true, RuntimeRS: true, Form: "tar.xz", OldArchitecture: true}},
		},
		"arm64": {pair("arm64")},
		"s390x": {pair("s390x")},
	} {
		elf := program(t, architecture)
		for _, forms := range releases {
			t.Run(forms[0].Name(), func(t *testing.T) {
				t.Parallel()
				s := declare(t, forms[0].Kata, files(t, elf, forms...)...)
				for _, profile := range []string{"minimal", "host-qemu", "self-contained"} {
					p, contents, err := build(t, s, profile, architecture)
					require.NoError(t, err, profile)
					assert.Equal(t, forms[0].Kata, p.Manifest.PayloadVersion)
					assert.Len(t, p.Layers, len(contents.Components)+1, "one layer each, and the manifest")
					assert.NotEmpty(t, contents.LeftOut)
				}
				p, _, err := build(t, s, "runtime-rs", architecture)
				if forms[0].Kata != "4.2.0" {
					require.ErrorContains(t, err, "needs Kata >= 4.2.0, and the sources have "+forms[0].Kata)
					return
				}
				require.NoError(t, err)
				require.Len(t, p.Manifest.Handlers, 2)
			})
		}
	}
}

func TestTheFormOfTheArchiveDoesNotMatter(t *testing.T) {
	t.Parallel()
	elf, digests := program(t, "amd64"), map[string]bool{}
	for _, form := range []string{"tar.zst", "tar.xz", "tar.gz"} {
		r := pair("amd64")[0]
		r.Form = form
		p, _, err := build(t, declare(t, "4.2.0", files(t, elf, r)...), "self-contained", "amd64")
		require.NoError(t, err)
		digests[p.Digest] = true
	}
	dir := t.TempDir()
	require.NoError(t, pair("amd64")[0].Unpack(dir, elf))
	s := declare(t, "4.2.0")
	s.Archives = []source.Archive{{
		Location: source.Location{Directory: dir, SHA256: measure(t, archive.Directory(dir))}, Shim: source.ShimGo, Architecture: "amd64",
	}}
	p, _, err := build(t, s, "self-contained", "amd64")
	require.NoError(t, err)
	digests[p.Digest] = true
	assert.Len(t, digests, 1)
}

func TestAProgramForAnotherMachineIsRefused(t *testing.T) {
	t.Parallel()
	s := declare(t, "4.2.0", files(t, program(t, "amd64"), pair("arm64")...)...)
	_, _, err := build(t, s, "minimal", "arm64")
	require.ErrorContains(t, err, "opt/kata/bin/containerd-shim-kata-v2: is a program for EM_X86_64, the payload's architecture is arm64")
}

// flaky serves a directory, and resets a connection after each part of the file until all of it was
// sent.
type flaky struct {
	mu    sync.Mutex
	files http.Handler
	sent  map[string]int
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.sent[r.URL.Path]++
	last := f.sent[r.URL.Path] > 5
	f.mu.Unlock()
	if last {
		f.files.ServeHTTP(w, r)
		return
	}
	f.files.ServeHTTP(&cut{ResponseWriter: w, left: 200_000}, r)
}

// cut is a connection that breaks.
type cut struct {
	http.ResponseWriter

	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

func TestAnArchiveIsDownloadedOverABrokenConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, err := pair("amd64")[0].Write(dir, program(t, "amd64"))
	require.NoError(t, err)
	handler := &flaky{files: http.FileServer(http.Dir(dir)), sent: map[string]int{}}
	server := httptest.NewServer(handler)
	defer server.Close()
	url := server.URL + "/" + filepath.Base(name)
	_, _, err = build(t, declare(t, "4.2.0", source.Location{URL: url, SHA256: measure(t, archive.File(name))}), "minimal", "amd64")
	require.NoError(t, err)
	assert.Greater(t, handler.sent["/"+filepath.Base(name)], 3)
}

func TestAnArchiveWithABadFileIsRefused(t *testing.T) {
	t.Parallel()
	elf := program(t, "amd64")
	for want, change := range map[string]func(map[string]upstream.File){
		"setuid": func(f map[string]upstream.File) {
			change(f, "libexec/nydusd", func(f *upstream.File) { f.Mode = 0o4755 })
		},
		"links in a payload are relative": func(f map[string]upstream.File) { f["share/x"] = upstream.File{Link: "/etc/passwd"} },
		"behind each other":               func(f map[string]upstream.File) { f["a"], f["b"] = upstream.File{Link: "b"}, upstream.File{Link: "a"} },
		`has no opt/kata/bin/kata-runtime: this version of Kata is laid out in another way`: func(f map[string]upstream.File) { delete(f, "bin/kata-runtime") },
		`holds Kata 4.1.0, and kata is "4.2.0"`: func(f map[string]upstream.File) {
			change(f, "VERSION", func(f *upstream.File) { f.Content = []byte("4.1.0\n") })
		},
	} {
		r := pair("amd64")[0]
		r.Change = change
		name, err := r.Write(t.TempDir(), elf)
		require.NoError(t, err)
		sum := strings.Repeat("0", 64)
		_, _, err = build(t, declare(t, "4.2.0", source.Location{File: name, SHA256: sum}), "host-qemu", "amd64")
		require.ErrorContains(t, err, "and sources.toml pins 000", "the pin is compared first")
		_, sum, _ = strings.Cut(err.Error(), "has sha256 ")
		_, _, err = build(t, declare(t, "4.2.0", source.Location{File: name, SHA256: sum[:64]}), "host-qemu", "amd64")
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
	}
}

func change(files map[string]upstream.File, name string, how func(*upstream.File)) {
	f := files[name]
	how(&f)
	files[name] = f
}
