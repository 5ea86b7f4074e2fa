// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/payload/profile"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
)

// opened is a surveyed archive.
type opened struct {
	source.Archive

	from    archive.Source
	listing archive.Listing
	// release and versions are the archive's VERSION and versions.yaml.
	release  string
	versions map[string]any
	chosen   archive.Listing
}

// open surveys the archives that the profile takes something from.
func (s *stager) open(ctx context.Context) error {
	byLocation := map[string]*opened{}
	for _, c := range s.profile.Components {
		if s.archives[c.Shim] != nil {
			continue
		}
		a, err := s.Sources.Archive(s.Architecture, c.Shim)
		if err != nil {
			return err
		}
		if byLocation[a.String()] == nil {
			if byLocation[a.String()], err = s.openArchive(ctx, a); err != nil {
				return fmt.Errorf("archive %s: %w", a.Location, err)
			}
		}
		s.archives[c.Shim] = byLocation[a.String()]
	}
	return nil
}

func (s *stager) openArchive(ctx context.Context, a source.Archive) (*opened, error) {
	name, err := s.locate(ctx, a.Location)
	if err != nil {
		return nil, err
	}
	o := &opened{Archive: a, from: sourceAt(a.Location, name)}
	release, versions := s.inPrefix("VERSION"), s.inPrefix("versions.yaml")
	documents := map[string][]byte{release: nil, versions: nil}
	listing, digest, err := archive.Survey(ctx, o.from, s.Limits, documents)
	if digest != "" {
		if wrong := a.CheckPin(digest); wrong != nil {
			return nil, wrong // what else is wrong does not matter in another file than the reviewed one
		}
	}
	if err != nil && digest != "" {
		return nil, fmt.Errorf("%w; nothing of it is used: take upstream's own archive, or make it again without that", err)
	}
	if err != nil {
		return nil, err
	}
	o.listing, o.release = listing, string(bytes.TrimSpace(documents[release]))
	if err := yaml.Unmarshal(documents[versions], &o.versions); err != nil {
		return nil, fmt.Errorf("reading %s: %w", versions, err)
	}
	return o, s.checkRelease(o)
}

// checkRelease compares the version that an archive says it has with the declared one. Archives
// without VERSION, which upstream made before it wrote that file, say nothing: their pin stands for
// them.
func (s *stager) checkRelease(o *opened) error {
	if o.release == "" && o.versions == nil {
		return fmt.Errorf("has neither %s nor %s: it is not an archive of Kata", s.inPrefix("VERSION"), s.inPrefix("versions.yaml"))
	}
	if o.release != "" && o.release != s.Sources.Kata {
		return fmt.Errorf("holds Kata %s, and kata is %q in sources.toml", o.release, s.Sources.Kata)
	}
	return nil
}

func sourceAt(l source.Location, name string) archive.Source {
	if l.Directory != "" {
		return archive.Directory(name)
	}
	return archive.File(name)
}

func (s *stager) inPrefix(name string) string {
	return path.Join(strings.TrimPrefix(s.profile.Prefix, "/"), name)
}

// choose finds every component's files.
func (s *stager) choose() error {
	for _, from := range s.profile.Components {
		o := s.archives[from.Shim]
		c := s.addComponent(from.Name, s.componentVersion(o, from))
		if err := s.chooseComponent(c, from, o); err != nil {
			return fmt.Errorf("component %q: %w", from.Name, err)
		}
	}
	return nil
}

func (s *stager) chooseComponent(c *component, from profile.Component, o *opened) error {
	for _, pattern := range from.Paths {
		found, err := s.chooseMatching(c, pattern, o)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("archive %s has no %s: this version of Kata is laid out in another way", o.Location, pattern)
		}
	}
	for _, pattern := range from.Optional {
		if _, err := s.chooseMatching(c, pattern, o); err != nil {
			return err
		}
	}
	if c.files == 0 {
		return fmt.Errorf("archive %s has none of %s", o.Location, strings.Join(from.Optional, ", "))
	}
	return nil
}

// chooseMatching takes what the pattern matches, and what is below that.
func (s *stager) chooseMatching(c *component, pattern string, o *opened) (found bool, err error) {
	for _, e := range o.listing {
		if !matches(pattern, e.Path) {
			continue
		}
		way, err := o.listing.Resolve(e.Path)
		if err != nil {
			return false, err
		}
		for _, step := range way {
			if s.owner[step.Path] == c {
				continue
			}
			if err := s.add(c, step); err != nil {
				return false, err
			}
			o.chosen = append(o.chosen, step)
		}
		found = true
	}
	return found, nil
}

func matches(pattern, name string) bool {
	for at := name; at != "."; at = path.Dir(at) {
		if ok, err := path.Match(pattern, at); err == nil && ok {
			return true
		}
	}
	return false
}

// componentVersion looks a version up in the archive's versions.yaml; what is not there has Kata's.
func (s *stager) componentVersion(o *opened, from profile.Component) string {
	var at any = o.versions
	for key := range strings.SplitSeq(from.Versioned, ".") {
		table, ok := at.(map[string]any)
		if !ok {
			return s.Sources.Kata
		}
		at = table[key]
	}
	if version, ok := at.(string); ok && version != "" {
		return version
	}
	return s.Sources.Kata
}

func (s *stager) extract(ctx context.Context) error {
	done := map[*opened]bool{}
	for _, c := range s.profile.Components {
		o := s.archives[c.Shim]
		if done[o] {
			continue
		}
		done[o] = true
		digest, err := archive.Extract(ctx, o.from, s.Limits, o.listing, o.chosen, s.root)
		if err != nil {
			return fmt.Errorf("archive %s: %w", o.Location, err)
		}
		if err := o.CheckPin(digest); err != nil {
			return fmt.Errorf("archive %s changed while it was read: %w", o.Location, err)
		}
	}
	return nil
}
