// SPDX-License-Identifier: Apache-2.0

// Package inspect compares a payload's files, mounted or staged, with its manifest.
// It only reads, never follows a symbolic link, and looks at nothing outside the tree it is given.
package inspect

import (
	"context"
	"fmt"
	"io"
	"os"

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

// Tree compares every file below root with the manifest: kind, permission bits, size, content and link target.
// Files that are missing or not listed are mismatches too, and so are directories without any listed file or open to writing by others.
// It returns a *Mismatch for the first bad path in sorted order, or another error where reading itself went wrong or ctx ended.
// Owners and extended attributes are not compared.
func Tree(ctx context.Context, root string, m manifest.Manifest) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("verifying payload: %w", err)
	}
	defer dir.Close()
	found, err := observe(ctx, dir)
	if err != nil {
		return fmt.Errorf("verifying payload: %w", err)
	}
	sound, mismatch := compare(found, m)
	if err := verifyContents(ctx, dir, sound); err != nil {
		return err
	}
	if mismatch != nil {
		return mismatch
	}
	return nil
}

// Read returns the manifest below root, decoded and as it was written. The error says where the document is missing or bad;
// a bad one is returned as it was written, too.
// whether it is the one that the image's label names is for the caller to compare, see manifest.Digest.
func Read(root string) (manifest.Manifest, []byte, error) {
	document, err := readDocument(root)
	if err != nil {
		return manifest.Manifest{}, nil, fmt.Errorf("reading payload manifest: %w", err)
	}
	m, err := manifest.Decode(document)
	return m, document, err
}

func readDocument(root string) ([]byte, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	info, err := dir.Lstat(manifest.Path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", manifest.Path)
	}
	file, err := dir.Open(manifest.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	return io.ReadAll(io.LimitReader(file, manifest.MaxSize+1))
}
