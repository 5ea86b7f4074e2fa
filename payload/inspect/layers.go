// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/kata-node/kata-node/payload/manifest"
)

// Layer opens the tar stream of one layer, without its compression.
type Layer func() (io.ReadCloser, error)

// Layers compares what the layers of an image have in them, the lowest first, with the manifest, by
// the rules of Tree. It unpacks nothing. verified is called for each regular file whose content is
// as the manifest says, in the order of the layers. The error is a *Mismatch, or of the reading.
func Layers(ctx context.Context, layers []Layer, m manifest.Manifest, verified func(manifest.File)) error {
	l := layered{manifest: m, listed: expected(m), found: map[string]entry{}, sums: map[string]string{}, verified: verified}
	for i, open := range layers {
		if err := l.read(ctx, open); err != nil {
			if mismatch, ok := errors.AsType[*Mismatch](err); ok {
				return mismatch
			}
			return fmt.Errorf("verifying payload: layer %d of %d: %w", i+1, len(layers), err)
		}
	}
	sound, mismatch := compare(l.found, m, l.listed)
	for _, f := range sound {
		if l.sums[f.Path] != f.SHA256 {
			return differentContent(f, l.sums[f.Path])
		}
	}
	if mismatch != nil {
		return mismatch
	}
	return nil
}

func differentContent(f manifest.File, sum string) *Mismatch {
	return &Mismatch{Path: f.Path, Problem: fmt.Sprintf("sha256 is %s, manifest says %s", sum, f.SHA256)}
}

// layered is what the layers that were read make together.
type layered struct {
	manifest manifest.Manifest
	listed   map[string]judgement
	found    map[string]entry
	sums     map[string]string
	unlisted int
	verified func(manifest.File)
}

func (l *layered) read(ctx context.Context, open Layer) error {
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = l.add(h, archive)
		}
		if err != nil {
			return err
		}
	}
}

// whiteout begins the name of an entry that hides one of a layer below (OCI image specification,
// layer.md).
const whiteout = ".wh."

func (l *layered) add(h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	switch {
	case name == ".":
		return nil
	case !fs.ValidPath(name):
		return &Mismatch{Path: h.Name, Problem: "leads out of the payload"}
	case strings.HasPrefix(path.Base(name), whiteout):
		return &Mismatch{Path: name, Problem: "hides a file of a layer below: layers of a payload do not"}
	}
	if l.listed[name] == nil {
		if l.unlisted++; l.unlisted > maxUnlisted {
			return &Mismatch{Path: name, Problem: fmt.Sprintf("is not in the manifest, like %d others", maxUnlisted)}
		}
	}
	l.addParents(name)
	return l.place(name, h, content)
}

// addParents notes directories that have no entry of their own: they are made as they are needed.
func (l *layered) addParents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, there := l.found[dir]; !there {
			l.found[dir] = entry{mode: fs.ModeDir | 0o755}
		}
	}
}

func (l *layered) place(name string, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeLink {
		same := path.Clean(h.Linkname)
		if _, there := l.found[same]; !there {
			return &Mismatch{Path: name, Problem: fmt.Sprintf("is a hard link to %q, which is not there", h.Linkname)}
		}
		l.found[name], l.sums[name] = l.found[same], l.sums[same]
		return nil
	}
	l.found[name] = entry{mode: h.FileInfo().Mode(), size: h.Size, link: h.Linkname}
	f, listed := l.manifest.File(name)
	if h.Typeflag != tar.TypeReg || !listed {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return err
	}
	if l.sums[name] = hex.EncodeToString(sum.Sum(nil)); l.sums[name] == f.SHA256 {
		l.verified(f)
	}
	return nil
}
