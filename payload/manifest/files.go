// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
)

const (
	hexDigits    = "0123456789abcdef"
	sha256Digits = 64
	// whiteout is how image layers spell the removal of a file of the layers below (OCI image-spec,
	// layer.md).
	whiteout = ".wh."
	// maxPath is Linux's PATH_MAX without the closing zero, in bytes.
	maxPath = 4095
)

// validateFiles checks the list as a whole and each entry. No entry may lie below another one that
// is no directory, so that unpacking never writes through a link.
func (m Manifest) validateFiles() error {
	paths := map[string]bool{Path: true}
	for i, f := range m.Files {
		if err := f.validate(); err != nil {
			return fmt.Errorf("file %w", err)
		}
		if i > 0 && cmp.Compare(m.Files[i-1].Path, f.Path) > 0 {
			return fmt.Errorf("file %q comes after %q: files are sorted by path", f.Path, m.Files[i-1].Path)
		}
		if paths[f.Path] {
			return fmt.Errorf("file %q is listed twice, or is the manifest itself", f.Path)
		}
		paths[f.Path] = true
	}
	return cmp.Or(m.validateNesting(paths), m.validateLinks())
}

func (m Manifest) validateNesting(paths map[string]bool) error {
	for _, f := range m.Files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if paths[dir] {
				return fmt.Errorf("file %q lies below %q, which is no directory", f.Path, dir)
			}
		}
	}
	for dir := path.Dir(Path); dir != "."; dir = path.Dir(dir) {
		if paths[dir] {
			return fmt.Errorf("file %q stands where the manifest's directory must be", dir)
		}
	}
	return nil
}

func (m Manifest) validateLinks() error {
	for _, f := range m.Files {
		if f.Link == "" {
			continue
		}
		if _, err := m.Follow(f.Path); err != nil {
			return fmt.Errorf("link %q to %q: %w", f.Path, f.Link, err)
		}
	}
	return nil
}

func (f File) validate() error {
	if err := validatePath(f.Path); err != nil {
		return err
	}
	if f.Link != "" {
		return f.validateLink()
	}
	return f.validateRegular()
}

func (f File) validateLink() error {
	if strings.HasPrefix(f.Link, "/") || len(f.Link) > maxPath || strings.ContainsFunc(f.Link, unicode.IsControl) {
		return fmt.Errorf("%q links to %q: links are relative, printable and at most %d bytes long", f.Path, f.Link, maxPath)
	}
	if f.Mode != 0 || f.Size != 0 || f.SHA256 != "" {
		return fmt.Errorf("%q is a link and has a mode, size or digest too", f.Path)
	}
	return nil
}

func (f File) validateRegular() error {
	switch {
	case f.Mode > 0o777:
		return fmt.Errorf("%q has mode %s: setuid, setgid and sticky bits are not allowed in a payload", f.Path, f.Mode)
	case f.Mode&0o400 == 0:
		return fmt.Errorf("%q has mode %s: its owner must be able to read it", f.Path, f.Mode)
	case f.Size < 0:
		return fmt.Errorf("%q has the negative size %d", f.Path, f.Size)
	case len(f.SHA256) != sha256Digits || strings.Trim(f.SHA256, hexDigits) != "":
		return fmt.Errorf("%q has sha256 %q: must be 64 lower-case hex digits", f.Path, f.SHA256)
	}
	return nil
}

// validatePath accepts clean relative paths only, and no name that an image layer would read as an
// instruction.
func validatePath(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > maxPath {
		return fmt.Errorf("%q is not a clean relative path", name)
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%q has control characters", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, whiteout) {
			return fmt.Errorf("%q has the reserved prefix %s", name, whiteout)
		}
	}
	return nil
}
