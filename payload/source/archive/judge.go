// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxPath is Linux's PATH_MAX without the closing zero, maxName its NAME_MAX, in bytes.
	maxPath = 4095
	maxName = 255
	special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
)

// attributes are the PAX records in which GNU tar, libarchive and star keep extended attributes and
// access control lists.
var attributes = []string{"SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl.", "RHT.security."} //nolint:gochecknoglobals // A constant.

// judge refuses an entry for what it is, without regard to the others. A directory is returned as
// an entry with nothing but its path.
func judge(h *tar.Header, limits Limits) (Entry, error) {
	name, err := judgePath(h.Name)
	if err != nil {
		return Entry{}, fmt.Errorf("entry %q %w", shorten(h.Name), err)
	}
	if err := judgeHeader(h, limits); err != nil {
		return Entry{}, fmt.Errorf("entry %q %w", shorten(h.Name), err)
	}
	e := Entry{Path: name}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Program, e.Size = h.FileInfo().Mode()&ownerMayRun != 0, h.Size
	case tar.TypeSymlink:
		e.Link = h.Linkname
	case tar.TypeLink:
		if e.Same, err = judgePath(h.Linkname); err != nil {
			return Entry{}, fmt.Errorf("entry %q is a hard link to %q, which %w", h.Name, shorten(h.Linkname), err)
		}
	}
	return e, nil
}

func judgeHeader(h *tar.Header, limits Limits) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return errors.New("is a device node or a pipe: a payload holds files, directories and links only")
	default:
		return fmt.Errorf("has the type %q: a payload holds files, directories and links only", h.Typeflag)
	}
	if h.Size < 0 || h.Size > limits.File {
		return fmt.Errorf("has %d bytes: one file may have %d", h.Size, limits.File)
	}
	if mode := h.FileInfo().Mode(); mode&special != 0 {
		return fmt.Errorf("has a setuid, setgid or sticky bit (mode %s): a payload has none", mode)
	}
	if strings.ContainsFunc(h.Linkname, unicode.IsControl) {
		return errors.New("is a link whose target has control characters")
	}
	for key := range h.PAXRecords {
		if name, found := attribute(key); found && name == "security.capability" {
			return errors.New("has file capabilities: a payload has none")
		} else if found {
			return fmt.Errorf("has the extended attribute %s: a payload has none", name)
		}
	}
	return nil
}

func attribute(record string) (name string, found bool) {
	for _, prefix := range attributes {
		if name, found := strings.CutPrefix(record, prefix); found {
			return name, true
		}
	}
	return "", false
}

// judgePath returns the clean form of "./opt/kata/" and its like.
func judgePath(name string) (string, error) {
	if path.IsAbs(name) {
		return "", errors.New("has an absolute path")
	}
	if len(name) > maxPath {
		return "", fmt.Errorf("has a path of %d bytes: Linux takes %d", len(name), maxPath)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("leads out of the archive")
		}
		if len(part) > maxName {
			return "", fmt.Errorf("has a name of %d bytes: Linux takes %d", len(part), maxName)
		}
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, `\`) {
		return "", errors.New("has a path with control characters, backslashes or bytes that are not UTF-8")
	}
	clean := path.Clean(name)
	if name == "" || !fs.ValidPath(clean) {
		return "", errors.New("has no path")
	}
	return clean, nil
}

// shorten keeps a sentence readable when it names a path of thousands of bytes.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	return name[:maxName] + "…"
}
