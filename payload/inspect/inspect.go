// SPDX-License-Identifier: Apache-2.0

// Package inspect compares a payload's files, mounted or staged, with its manifest.
// It only reads, never follows a symbolic link, and looks at nothing outside the tree it is given.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Mismatch says how one file differs from the manifest.
type Mismatch struct { //nolint:errname // It is a finding first, and an error because Tree returns it.
	// Path is relative to the payload's root.
	Path string
	// Problem completes a sentence that begins with the path.
	Problem string
}

// Error names the file and the problem.
func (m *Mismatch) Error() string { return fmt.Sprintf("verifying payload: %s: %s", m.Path, m.Problem) }

// Tree compares every file below root with the manifest: kind, permission bits, size, content and
// link target. Files that are missing or not listed are mismatches too, and so are directories
// without any listed file or open to writing by others. It returns a *Mismatch for the first bad
// path in sorted order, or another error where reading itself went wrong or ctx ended. Owners and
// extended attributes are not compared.
func Tree(ctx context.Context, root string, m manifest.Manifest) error {
	return TreeReporting(ctx, root, m, func(manifest.File) {})
}

// TreeReporting is Tree, and calls a function for each regular file whose content is as the
// manifest says, from several goroutines at once.
func TreeReporting(ctx context.Context, root string, m manifest.Manifest, verified func(manifest.File)) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("verifying payload: %w", err)
	}
	defer dir.Close()
	listed := expected(m)
	found, err := observe(ctx, dir, listed)
	if mismatch, ok := errors.AsType[*Mismatch](err); ok {
		return mismatch
	}
	if err != nil {
		return fmt.Errorf("verifying payload: %w", err)
	}
	sound, mismatch := compare(found, m, listed)
	if err := verifyContents(ctx, dir, sound, verified); err != nil {
		return err
	}
	if mismatch != nil {
		return mismatch
	}
	return nil
}

// Read returns the manifest below root, decoded and as it was written. A file that is missing, is
// no regular file, is too large or is no manifest is a *Mismatch; another error is of the reading.
// A document that is no manifest is returned with its *Mismatch. Whether it is the one that the
// image's label names is for the caller to compare, see manifest.Digest.
func Read(ctx context.Context, root string) (manifest.Manifest, []byte, error) {
	document, err := readDocument(ctx, root)
	if err != nil {
		return manifest.Manifest{}, nil, fmt.Errorf("reading payload manifest: %w", err)
	}
	m, err := manifest.Decode(document)
	if err != nil {
		return manifest.Manifest{}, document, &Mismatch{Path: manifest.Path, Problem: err.Error()}
	}
	return m, document, nil
}

// File returns the content of one file below root, such as a handler's base configuration, under
// the same rules. limit is in bytes.
func File(ctx context.Context, root, path string, limit int64) ([]byte, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	content, err := safefile.Read(ctx, dir, path, limit)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, differs(path, err)
	}
	return content, nil
}

func readDocument(ctx context.Context, root string) ([]byte, error) {
	info, err := os.Lstat(filepath.Join(root, manifest.Path))
	if err != nil {
		return nil, differs(manifest.Path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Mismatch{Path: manifest.Path, Problem: safefile.ErrNotRegular.Error()}
	}
	return File(ctx, root, manifest.Path, manifest.MaxSize)
}

// differs tells what the image contains from what a try to read it met: an error of the operating
// system that says nothing of the names in the tree is of the try, or of the disk.
func differs(path string, err error) error {
	names := []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG}
	if errno, ok := errors.AsType[syscall.Errno](err); ok && !slices.Contains(names, errno) {
		return err
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return &Mismatch{Path: path, Problem: err.Error()}
}
