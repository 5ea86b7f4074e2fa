// SPDX-License-Identifier: Apache-2.0

// Package stage turns the sources of a payload into a directory and its description, which is what
// payload/assemble builds an image from. Every source is judged as a whole, and compared with its
// pin, before the first of its files is written.
package stage

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/profile"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/kata-node/kata-node/payload/source/fetch"
)

// Input says what to stage, and where.
type Input struct {
	Sources source.Sources
	// Dir is what relative names in the sources are relative to.
	Dir string
	// Profile is a profile's name, Architecture a Go architecture name.
	Profile, Architecture string
	// Tree is an existing, empty directory. After an error it holds rubbish.
	Tree string
	// Cache is where downloads go.
	Cache fetch.Cache
	// Limits are those of every archive and directory.
	Limits archive.Limits
}

// Staged is what assemble.Build needs besides the tree, and what people want to know.
type Staged struct {
	Description assemble.Description
	Contents    Contents
	// Materials are the sources that something was taken from.
	Materials []Material
}

// Build stages one architecture's payload. The error names the source that is in the way.
func Build(ctx context.Context, in Input) (Staged, error) {
	s, err := newStager(in)
	if err != nil {
		return Staged{}, fmt.Errorf("staging profile %q for %s: %w", in.Profile, in.Architecture, err)
	}
	defer s.root.Close()
	if err := s.build(ctx); err != nil {
		return Staged{}, fmt.Errorf("staging profile %q for %s: %w", in.Profile, in.Architecture, err)
	}
	return Staged{Description: s.description(), Contents: s.contents(), Materials: s.materials()}, nil
}

type stager struct {
	Input

	profile profile.Profile
	root    *os.Root
	// archives are those that the profile takes something from, by shim; one archive may have two.
	archives map[string]*opened
	// order has the components of the image, slowest change first.
	order []*component
	// owner has the component of every staged path.
	owner    map[string]*component
	packages []manifest.Package
}

// component is a layer's share of the tree.
type component struct {
	name, version string
	size          int64
	files         int
}

func newStager(in Input) (*stager, error) {
	p, err := profile.For(in.Profile, in.Architecture, in.Sources.Kata)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(in.Tree)
	if err != nil {
		return nil, err
	}
	return &stager{Input: in, profile: p, root: root, archives: map[string]*opened{}, owner: map[string]*component{}}, nil
}

func (s *stager) build(ctx context.Context) error {
	sets, dirs := s.Sources.For(s.Profile, s.Architecture)
	if err := manifest.ValidateSets(declared(sets)); err != nil {
		return err
	}
	for _, set := range sets {
		if err := s.stageSet(ctx, set); err != nil {
			return fmt.Errorf("RPM set %q: %w", set.Set, err)
		}
	}
	for _, d := range dirs {
		if err := s.stageDirectory(ctx, d); err != nil {
			return fmt.Errorf("directory %s: %w", d.Location, err)
		}
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.choose(); err != nil {
		return err
	}
	if err := s.extract(ctx); err != nil {
		return err
	}
	return s.configure(ctx)
}

// add notes that a component has a path, and refuses one that two components claim.
func (s *stager) add(c *component, e archive.Entry) error {
	if other, taken := s.owner[e.Path]; taken && other != c {
		return fmt.Errorf("%s: components %q and %q both claim it: leave it to one of them", e.Path, other.name, c.name)
	} else if taken {
		return nil
	}
	s.owner[e.Path] = c
	c.size, c.files = c.size+e.Size, c.files+1
	return nil
}

func (s *stager) addComponent(name, version string) *component {
	c := &component{name: name, version: version}
	s.order = append(s.order, c)
	return c
}

// version is the payload's.
func (s *stager) version() string { return cmp.Or(s.Sources.Version, s.Sources.Kata) }

// local returns the path of a file or directory of the sources.
func (s *stager) local(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(s.Dir, name)
}

// locate returns the path of a file on this machine, downloading it if need be, and refuses what is
// not pinned and was downloaded for nothing but to learn its digest.
func (s *stager) locate(ctx context.Context, l source.Location) (string, error) {
	if l.URL == "" {
		return s.local(cmp.Or(l.File, l.Directory)), nil
	}
	path, digest, err := s.Cache.Get(ctx, l.URL, l.SHA256)
	if err != nil {
		return "", err
	}
	return path, l.CheckPin(digest)
}

func (s *stager) description() assemble.Description {
	d := assemble.Description{
		Name: s.Sources.Name, Version: s.version(), Architecture: s.Architecture, Prefix: s.profile.Prefix,
		ShimCompatibility: s.Sources.ShimCompatibility, OpenShift: s.Sources.OpenShift, Kubernetes: s.Sources.Kubernetes,
		Requires: s.profile.Requires, Packages: s.packages,
	}
	sets, _ := s.Sources.For(s.Profile, s.Architecture)
	d.PackageSets = slices.DeleteFunc(declared(sets), func(set manifest.PackageSet) bool { return len(set.Systems) == 0 })
	for _, h := range s.profile.Handlers {
		d.Handlers = append(d.Handlers, h.Handler)
	}
	paths := s.claims()
	for _, c := range s.order {
		d.Components = append(d.Components, assemble.Component{Name: c.name, Version: c.version, Paths: paths[c]})
	}
	return d
}
