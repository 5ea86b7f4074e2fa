// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// Contents says what got into the payload and what did not.
type Contents struct {
	Components []Part
	// LeftOut has what the archives hold in addition, the largest first.
	LeftOut []LeftOut
}

// Part is one component.
type Part struct {
	Name, Version string
	Files         int
	// Size is in bytes, as staged.
	Size int64
}

// LeftOut is a file of an archive that the profile does not take.
type LeftOut struct {
	Archive, Path string
	Size          int64
}

func (s *stager) contents() Contents {
	var out Contents
	for _, c := range s.order {
		out.Components = append(out.Components, Part{Name: c.name, Version: c.version, Files: c.files, Size: c.size})
	}
	seen := map[*opened]bool{}
	for _, o := range s.archives {
		if seen[o] {
			continue
		}
		seen[o] = true
		for _, e := range o.listing {
			if !slices.Contains(o.chosen, e) && e.Link == "" && e.Same == "" {
				out.LeftOut = append(out.LeftOut, LeftOut{Archive: o.Name(), Path: e.Path, Size: e.Size})
			}
		}
	}
	slices.SortFunc(out.LeftOut, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Archive, b.Archive))
	})
	return out
}

// claims returns each component's paths: its files, or the highest directories that hold nothing of
// another component.
func (s *stager) claims() map[*component][]string {
	above := map[string]*component{} // nil where a directory holds files of several
	for name, c := range s.owner {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if other, found := above[dir]; found && other != c {
				above[dir] = nil
			} else {
				above[dir] = c
			}
		}
	}
	claims := map[*component][]string{}
	for name, c := range s.owner {
		for dir := path.Dir(name); dir != "." && above[dir] == c; dir = path.Dir(dir) {
			name = dir
		}
		claims[c] = append(claims[c], escape(name))
	}
	for c := range claims {
		slices.Sort(claims[c])
		claims[c] = slices.Compact(claims[c])
	}
	return claims
}

// escape returns the pattern that matches exactly that path.
func escape(name string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(name)
}

// copyDigested copies, closes the file, and returns the digest of what was copied.
func copyDigested(out *os.File, in io.Reader) (digest string, err error) {
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, hash), in); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
