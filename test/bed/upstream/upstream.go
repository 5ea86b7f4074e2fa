// SPDX-License-Identifier: Apache-2.0

// Package upstream generates archives in the form of Kata's releases: the same names of archives
// and files, modes, links and layout, programs that execute, an initrd that boots, configurations
// with the same keys, and, if asked for, the same sizes. Nothing in them is Kata's.
package upstream

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Release says which archive to generate.
type Release struct {
	// Kata is the version, such as 4.2.0. Archives of 4.1 and later have one of the two shims.
	Kata string
	// Architecture is a Go architecture name: amd64, arm64 or s390x.
	Architecture string
	// Go and RuntimeRS say which shims are in it.
	Go, RuntimeRS bool
	// Form is the name's end: tar.zst, tar.xz, tar.gz or tar.
	Form string
	// OldArchitecture writes x86_64 into the name, as releases before 3.2 do.
	OldArchitecture bool
	// Scale is the share of upstream's sizes that files other than programs and configurations get:
	// 1 makes archives of about 1.5 GB unpacked, 0 the smallest files.
	Scale float64
	// Revisions of files, by path below opt/kata, for another content of the same size.
	Revisions map[string]int
	// Change changes the files before they are written, for archives that must be refused.
	Change func(map[string]File)
}

// File is one file of an archive.
type File struct {
	// Content is what the file begins with. Up to Size it is padded with bytes that a compressor
	// makes a third of.
	Content []byte
	Size    int64
	Mode    int64
	// Link is a symbolic link's target.
	Link string
	// Header changes the entry before it is written.
	Header func(*tar.Header)
}

// Name returns the name that upstream gives to the archive.
func (r Release) Name() string {
	kind, architecture := "kata-static", r.Architecture
	if r.Go && !r.RuntimeRS && !strings.HasPrefix(r.Kata, "3.") {
		kind = "kata-go-static"
	}
	if r.OldArchitecture {
		architecture = machine(r.Architecture)
	}
	return fmt.Sprintf("%s-%s-%s.%s", kind, r.Kata, architecture, r.Form)
}

// machine is the architecture in the names of QEMU's programs.
func machine(architecture string) string {
	switch architecture {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	default:
		return architecture
	}
}

// Write generates the archive below a directory and returns its path. program is what
// BuildProgram returned for the architecture.
func (r Release) Write(dir, program string) (name string, err error) {
	name = filepath.Join(dir, r.Name())
	files, err := r.files(program)
	if err != nil {
		return "", fmt.Errorf("generating %s: %w", name, err)
	}
	out, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if err := r.pack(out, files); err != nil {
		return "", fmt.Errorf("generating %s: %w", name, err)
	}
	return name, out.Close()
}

// Unpack writes the files of the archive below a directory, as `tar -x` does.
func (r Release) Unpack(dir, program string) error {
	files, err := r.files(program)
	if err != nil {
		return err
	}
	for _, name := range sorted(files) {
		at := filepath.Join(dir, "opt/kata", name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := r.unpackFile(at, name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

func (r Release) unpackFile(at, name string, f File) error {
	if f.Link != "" {
		return os.Symlink(f.Link, at)
	}
	out, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(f.Mode))
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, f.content(name, r.Revisions[name])); err != nil {
		return err
	}
	return out.Close()
}

func (r Release) pack(out io.Writer, files map[string]File) error {
	packed, err := r.compressor(out)
	if err != nil {
		return err
	}
	w := tar.NewWriter(packed)
	for _, dir := range []string{"./", "./opt/", "./opt/kata/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, name := range sorted(files) {
		if err := r.packFile(w, name, files[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return packed.Close()
}

func (r Release) packFile(w *tar.Writer, name string, f File) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: "./opt/kata/" + name, Mode: f.Mode, Size: f.Size}
	if f.Link != "" {
		h = &tar.Header{Typeflag: tar.TypeSymlink, Name: h.Name, Linkname: f.Link, Mode: 0o777}
	}
	if f.Header != nil {
		f.Header(h)
	}
	if err := w.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	_, err := io.Copy(w, f.content(name, r.Revisions[name]))
	return err
}

func (r Release) compressor(out io.Writer) (io.WriteCloser, error) {
	switch r.Form {
	case "tar.zst":
		return zstd.NewWriter(out)
	case "tar.xz":
		return xz.NewWriter(out)
	case "tar.gz":
		return gzip.NewWriter(out), nil
	case "tar":
		return nopCloser{out}, nil
	default:
		return nil, fmt.Errorf("form %q is none of upstream's", r.Form)
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// BuildProgram builds the program that stands for all of Kata's, for an architecture, and returns
// its path.
func BuildProgram(ctx context.Context, root, dir, architecture string) (string, error) {
	name := filepath.Join(dir, "program-"+architecture)
	return name, goBuild(ctx, root, name, architecture)
}
