// SPDX-License-Identifier: Apache-2.0

// Package sample makes content for benchmarks that compresses as programs do: it is made of Go's
// own toolchain.
package sample

import (
	"fmt"
	"go/build"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Tree maps the paths of a payload's files to their sizes, which are those of a payload with the
// virtual machine monitor in it.
func Tree() map[string]int {
	files := map[string]int{
		"opt/kata/share/kata-containers/kata-containers.img": 128 << 20,
		"opt/kata/share/kata-containers/vmlinuz":             9 << 20,
		"opt/kata/bin/qemu-system-x86_64":                    50 << 20,
		"opt/kata/libexec/virtiofsd":                         6 << 20,
		"opt/kata/bin/kata-runtime":                          26 << 20,
		"usr/bin/containerd-shim-kata-v2":                    33 << 20,
	}
	for i := range 80 {
		files[fmt.Sprintf("opt/kata/share/kata-qemu/qemu/firmware-%d.bin", i)] = 350_000
	}
	return files
}

// Source is what content is made of.
type Source []byte

// Open reads the toolchain.
func Open(tb testing.TB) Source {
	tb.Helper()
	var all Source
	for _, pattern := range []string{"bin/go", "pkg/tool/*/compile", "pkg/tool/*/link", "pkg/tool/*/vet"} {
		names, err := filepath.Glob(filepath.Join(build.Default.GOROOT, pattern))
		if err != nil || len(names) == 0 {
			tb.Skipf("content is made of Go's toolchain: %s has no %s", build.Default.GOROOT, pattern)
		}
		program, err := os.ReadFile(names[0])
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, program...)
	}
	return all
}

// Content is different for each version of each name, all over, and compresses alike.
func (s Source) Content(name, version string, size int) []byte {
	const piece = 200_000
	var seed [32]byte
	copy(seed[:], version+" "+filepath.Base(name)+" "+name)
	random := rand.New(rand.NewChaCha8(seed)) //nolint:gosec // The same content each time.
	content := make([]byte, 0, size)
	for len(content) < size {
		at, mask := random.IntN(len(s)-piece), byte(random.Uint32()) //nolint:gosec // Any byte will do.
		for _, b := range s[at : at+min(piece, size-len(content))] {
			content = append(content, b^mask)
		}
	}
	return content
}

// Write writes the files of a tree below a directory. Those that are named in versions are of that
// version, the others of the first one.
func (s Source) Write(tb testing.TB, dir string, files map[string]int, versions map[string]string) {
	tb.Helper()
	for name, size := range files {
		Put(tb, dir, name, s.Content(name, versions[name], size))
	}
}

// Put writes one file.
func Put(tb testing.TB, dir, name string, content []byte) {
	tb.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o755); err != nil {
		tb.Fatal(err)
	}
}
