// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
)

// Extract reads a surveyed source again and writes the chosen entries below root, which must not
// have them yet. It returns the source's digest, and refuses a source that is not what the listing
// says. On an error what was written stays, for the caller to delete with its directory.
func Extract(ctx context.Context, source Source, limits Limits, listing, chosen Listing, root *os.Root) (string, error) {
	x := extraction{limits: limits, listing: listing, root: root, names: map[string][]string{}}
	for _, e := range chosen {
		if e.Link != "" {
			if err := x.link(e); err != nil {
				return "", err
			}
			continue
		}
		content := e.Path
		if e.Same != "" {
			content = e.Same
		}
		x.names[content] = append(x.names[content], e.Path)
	}
	digest, err := source.Each(ctx, limits, x.visit)
	if err != nil {
		return digest, err
	}
	if len(x.names) > 0 {
		return digest, errors.New("changed while it was read: files that it had are gone")
	}
	return digest, nil
}

type extraction struct {
	limits  Limits
	listing Listing
	root    *os.Root
	// names are the chosen names of each content that is still to come.
	names map[string][]string
}

func (x *extraction) visit(h *tar.Header, content io.Reader) error {
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	e, err := judge(h, x.limits)
	if err != nil {
		return err
	}
	if known, found := x.listing.Entry(e.Path); !found || known != e {
		return fmt.Errorf("entry %q changed while the archive was read", e.Path)
	}
	names := x.names[e.Path]
	delete(x.names, e.Path)
	if len(names) == 0 {
		return nil
	}
	if err := x.file(names[0], e.Program, content); err != nil {
		return fmt.Errorf("writing %s: %w", names[0], err)
	}
	for _, name := range names[1:] {
		if err := x.again(names[0], name); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

func (x *extraction) file(name string, program bool, content io.Reader) (err error) {
	if err := x.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if program {
		mode = 0o755
	}
	file, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, content)
	return err
}

// again gives a written file another name.
func (x *extraction) again(first, name string) error {
	if err := x.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return x.root.Link(first, name)
}

func (x *extraction) link(e Entry) error {
	if err := x.root.MkdirAll(path.Dir(e.Path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", e.Path, err)
	}
	if err := x.root.Symlink(e.Link, e.Path); err != nil {
		return fmt.Errorf("writing %s: %w", e.Path, err)
	}
	return nil
}
