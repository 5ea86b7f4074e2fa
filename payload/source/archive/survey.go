// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/payload/manifest"
)

// maxDocument is the largest document that Survey reads, in bytes. Kata's versions.yaml has 20 KB.
const maxDocument = 1 << 20

// Survey reads all of a source and returns what it holds and its digest. The content of those of
// the documents that it has is kept, by path. The error names the first entry that a payload must
// not have; the digest is known all the same where the source is a file that could be read to its
// end. Survey writes nothing.
func Survey(ctx context.Context, source Source, limits Limits, documents map[string][]byte) (Listing, string, error) {
	s := survey{limits: limits, documents: documents, entries: map[string]Entry{}, dirs: map[string]bool{".": true}}
	digest, err := source.Each(ctx, limits, s.visit)
	if err != nil {
		return nil, digest, err
	}
	list := s.list()
	return list, digest, judgeLinks(list)
}

type survey struct {
	limits    Limits
	documents map[string][]byte
	entries   map[string]Entry
	// dirs are the directories, and all directories above an entry.
	dirs  map[string]bool
	count int
	total int64
}

func (s *survey) visit(h *tar.Header, content io.Reader) error {
	e, err := judge(h, s.limits)
	if err != nil {
		return err
	}
	if err := s.add(e, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	if _, wanted := s.documents[e.Path]; wanted && h.Typeflag == tar.TypeReg {
		s.documents[e.Path], err = io.ReadAll(io.LimitReader(content, maxDocument))
	}
	return err
}

func (s *survey) add(e Entry, dir bool) (err error) {
	if s.count++; s.count > s.limits.Entries {
		return fmt.Errorf("more than %d entries", s.limits.Entries)
	}
	if s.total += e.Size; s.total > s.limits.Total {
		return fmt.Errorf("its files have more than %d bytes", s.limits.Total)
	}
	if err := s.place(e.Path, dir); err != nil || dir {
		return err
	}
	if e.Same != "" {
		if e, err = s.sameAs(e); err != nil {
			return err
		}
	}
	s.entries[e.Path] = e
	return nil
}

// place refuses a path that is there already, one below something that is no directory, and
// something that is no directory above a path.
func (s *survey) place(name string, dir bool) error {
	if _, twice := s.entries[name]; twice || !dir && s.dirs[name] {
		return fmt.Errorf("entry %q is there twice", name)
	}
	if dir {
		s.dirs[name] = true
	}
	for above := path.Dir(name); !s.dirs[above]; above = path.Dir(above) {
		if _, found := s.entries[above]; found {
			return fmt.Errorf("entry %q lies below %q, which is no directory", name, above)
		}
		s.dirs[above] = true
	}
	return nil
}

// sameAs turns a hard link into another name of a regular file that came before it.
func (s *survey) sameAs(e Entry) (Entry, error) {
	first, found := s.entries[e.Same]
	if !found || first.Link != "" {
		return Entry{}, fmt.Errorf("entry %q is a hard link to %q, which is not a regular file that comes before it", e.Path, e.Same)
	}
	e.Same, e.Size, e.Program = cmp.Or(first.Same, first.Path), first.Size, first.Program
	return e, nil
}

func (s *survey) list() Listing {
	return slices.SortedFunc(maps.Values(s.entries), func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
}

// judgeLinks refuses symbolic links that leave the archive and those that lead nowhere but to each
// other. One whose target is missing passes: upstream's archive with runtime-rs has some that end
// in the archive with the Go shim.
func judgeLinks(list Listing) error {
	m := list.manifest()
	for _, e := range list {
		if e.Link == "" {
			continue
		}
		if path.IsAbs(e.Link) || len(e.Link) > maxPath {
			return fmt.Errorf("entry %q is a link to %q: links in a payload are relative", e.Path, shorten(e.Link))
		}
		if _, err := m.Follow(e.Path); err != nil {
			return fmt.Errorf("entry %q is a link to %q, which does not lead into the archive: %w", e.Path, shorten(e.Link), err)
		}
	}
	return nil
}

// manifest lets the rules by which a payload's links are followed be the same here.
func (l Listing) manifest() manifest.Manifest {
	m := manifest.Manifest{Files: make([]manifest.File, 0, len(l))}
	for _, e := range l {
		m.Files = append(m.Files, manifest.File{Path: e.Path, Size: e.Size, Link: e.Link})
	}
	return m
}

// Resolve returns the entries that a path goes through: itself, and, where it is a symbolic link,
// every link behind it and the regular file at the end. The error says that it leads to none.
func (l Listing) Resolve(name string) (Listing, error) {
	var way Listing
	for at := name; ; {
		e, found := l.Entry(at)
		if !found {
			return nil, fmt.Errorf("%s leads to %s, which is not there", name, at)
		}
		way = append(way, e)
		if e.Link == "" {
			return way, nil
		}
		at = path.Join(path.Dir(at), e.Link)
		if len(way) > maxLinks || strings.HasPrefix(at, "../") {
			return nil, fmt.Errorf("%s leads to no file of the archive", name)
		}
	}
}

// maxLinks is how many symbolic links Linux follows in one path (path_resolution(7)).
const maxLinks = 40
