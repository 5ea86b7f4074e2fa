// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/payload/configuration"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/profile"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/kata-node/kata-node/payload/source/rpmset"
)

// stageDirectory takes a directory as it is, as one component.
func (s *stager) stageDirectory(ctx context.Context, d source.Directory) error {
	from := archive.Directory(s.local(d.Directory))
	listing, digest, err := archive.Survey(ctx, from, s.Limits, nil)
	if err != nil {
		return err
	}
	if err := d.CheckPin(digest); err != nil {
		return err
	}
	c := s.addComponent(d.Component, s.version())
	for _, e := range listing {
		if err := s.add(c, e); err != nil {
			return err
		}
	}
	if digest, err = archive.Extract(ctx, from, s.Limits, listing, listing, s.root); err != nil {
		return err
	}
	return d.CheckPin(digest)
}

// declared returns which hosts the sets are for, as the manifest has it.
func declared(sets []source.RPMSet) (all []manifest.PackageSet) {
	for _, set := range sets {
		one := manifest.PackageSet{Name: set.Set}
		for _, s := range set.Systems {
			one.Systems = append(one.Systems, manifest.System(s))
		}
		all = append(all, one)
	}
	return all
}

// stageSet takes the packages of an RPM set, as one component.
func (s *stager) stageSet(ctx context.Context, set source.RPMSet) error {
	c := s.addComponent(setComponent(set), s.version())
	named := map[string]manifest.Package{}
	for _, l := range set.Packages {
		p, err := s.stagePackage(ctx, set, l)
		if err != nil {
			return fmt.Errorf("package %s: %w", l, err)
		}
		if other, twice := named[p.Name+"."+p.Architecture]; twice {
			return fmt.Errorf("package %s: %s and %s are the same package: a host installs one of them", l, other.NEVRA(), p.NEVRA())
		}
		named[p.Name+"."+p.Architecture] = p
		s.packages = append(s.packages, p)
		info, err := s.root.Stat(p.Path)
		if err != nil {
			return err
		}
		if err := s.add(c, archive.Entry{Path: p.Path, Size: info.Size()}); err != nil {
			return err
		}
	}
	return nil
}

// stagePackage copies a package before its header is read: what is judged is what is staged.
func (s *stager) stagePackage(ctx context.Context, set source.RPMSet, l source.Location) (manifest.Package, error) {
	name, err := s.locate(ctx, l)
	if err != nil {
		return manifest.Package{}, err
	}
	copied := path.Join(manifest.PackageDir, set.Set, l.Name())
	digest, err := s.copyFile(ctx, name, copied)
	if err != nil {
		return manifest.Package{}, err
	}
	if err := l.CheckPin(digest); err != nil {
		return manifest.Package{}, err
	}
	p, err := rpmset.Read(ctx, filepath.Join(s.Tree, copied), set.Architecture)
	if err != nil {
		return manifest.Package{}, err
	}
	p.Set, p.Path = set.Set, path.Join(manifest.PackageDir, set.Set, p.FileName())
	if p.Path == copied {
		return p, nil
	}
	return p, s.root.Rename(copied, p.Path)
}

func (s *stager) copyFile(ctx context.Context, from, to string) (digest string, err error) {
	in, err := os.Open(filepath.Clean(from))
	if err != nil {
		return "", err
	}
	defer in.Close() //nolint:errcheck // Nothing was written.
	if err := s.root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return "", err
	}
	out, err := s.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	return copyDigested(out, safefile.Reader(ctx, io.LimitReader(in, s.Limits.File)))
}

// configure replaces every handler's base configuration by the profile's version of it.
func (s *stager) configure(ctx context.Context) error {
	for _, h := range s.profile.Handlers {
		if err := s.configureHandler(ctx, h); err != nil {
			return fmt.Errorf("%s: %w", h.Config, err)
		}
	}
	return nil
}

func (s *stager) configureHandler(ctx context.Context, h profile.Handler) error {
	upstream, err := safefile.Read(ctx, s.root, h.Config, configuration.MaxSize)
	if err != nil {
		return err
	}
	configured, err := h.Configure(upstream)
	if err != nil {
		return err
	}
	if err := s.root.Remove(h.Config); err != nil {
		return err // the file may have another name in the archive, which keeps what it has
	}
	c := s.owner[h.Config]
	c.size += int64(len(configured)) - int64(len(upstream))
	return s.root.WriteFile(h.Config, configured, 0o644)
}
