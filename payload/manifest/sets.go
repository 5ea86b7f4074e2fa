// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// systemForm is what os-release(5) allows in ID, VERSION_ID and VARIANT_ID.
var systemForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// PackageSet says which hosts a set of packages is for. A set that is not listed is for every host.
type PackageSet struct {
	// Name is Package.Set of its packages.
	Name string `json:"name"`
	// Systems has at least one entry: a host needs to be one of them.
	Systems []System `json:"systems"`
}

// System is an operating system, by the words of its os-release.
type System struct {
	// ID is the distribution, such as fedora, rhel or rhcos.
	ID string `json:"id"`
	// Version are the first parts of VERSION_ID: 9 stands for 9.4 and 9.6, and 42 for 42 alone.
	// Empty means any.
	Version string `json:"version,omitempty"`
	// Variant is VARIANT_ID, such as coreos. Empty means any, and none.
	Variant string `json:"variant,omitempty"`
}

// String names the system for people.
func (s System) String() string {
	text := strings.TrimSpace(s.ID + " " + s.Version)
	if s.Variant != "" {
		text += " (" + s.Variant + ")"
	}
	return text
}

// Is reports whether a host is such a system, by ID, VERSION_ID and VARIANT_ID of its os-release.
func (s System) Is(id, version, variant string) bool {
	return s.ID == id && startsWith(version, s.Version) && (s.Variant == "" || s.Variant == variant)
}

// Names names systems for people, where none are all.
func Names(systems []System) string {
	var names []string
	for _, s := range systems {
		names = append(names, s.String())
	}
	return cmp.Or(strings.Join(names, ", "), "every system")
}

// overlaps reports whether a host may be both.
func (s System) overlaps(other System) bool {
	variants := s.Variant == "" || other.Variant == "" || s.Variant == other.Variant
	return s.ID == other.ID && variants && (startsWith(s.Version, other.Version) || startsWith(other.Version, s.Version))
}

// startsWith reports whether a version has these first parts.
func startsWith(version, parts string) bool {
	return parts == "" || strings.HasPrefix(version+".", parts+".")
}

// SystemsOf returns the systems that a set is for, none where it is for every one.
func (m Manifest) SystemsOf(set string) []System {
	i := slices.IndexFunc(m.PackageSets, func(s PackageSet) bool { return s.Name == set })
	if i < 0 {
		return nil
	}
	return m.PackageSets[i].Systems
}

// ValidateSets returns why hosts could not choose among sets, nil where they can. Here a set
// without systems is for every one.
func ValidateSets(sets []PackageSet) error {
	for i, set := range sets {
		for _, other := range sets[:i] {
			if both := set.both(other); both != "" {
				return fmt.Errorf("package sets %q and %q are both for %s: a host layers one set, so name other systems for one of them", other.Name, set.Name, both)
			}
		}
	}
	return nil
}

// both names a system that two sets are for, and is empty where there is none.
func (p PackageSet) both(other PackageSet) string {
	switch {
	case len(p.Systems) == 0 && len(other.Systems) == 0:
		return "every system"
	case len(p.Systems) == 0:
		return other.Systems[0].String()
	case len(other.Systems) == 0:
		return p.Systems[0].String()
	}
	for _, one := range p.Systems {
		for _, another := range other.Systems {
			if one.overlaps(another) && startsWith(one.Version, another.Version) {
				return one.String()
			} else if one.overlaps(another) {
				return another.String()
			}
		}
	}
	return ""
}

func (m Manifest) validateSets() error {
	var names []string
	for _, p := range m.Packages {
		if !slices.Contains(names, p.Set) {
			names = append(names, p.Set)
		}
	}
	for i, set := range m.PackageSets {
		if err := set.validate(); err != nil {
			return fmt.Errorf("package set %q: %w", set.Name, err)
		}
		if !slices.Contains(names, set.Name) {
			return fmt.Errorf("package set %q has no packages", set.Name)
		}
		if slices.ContainsFunc(m.PackageSets[:i], func(s PackageSet) bool { return s.Name == set.Name }) {
			return fmt.Errorf("package set %q is listed twice", set.Name)
		}
	}
	var all []PackageSet
	for _, name := range names {
		all = append(all, PackageSet{Name: name, Systems: m.SystemsOf(name)})
	}
	return ValidateSets(all)
}

func (p PackageSet) validate() error {
	if len(p.Systems) == 0 {
		return errors.New("no systems: leave it out where it is for every one")
	}
	for _, s := range p.Systems {
		if err := cmp.Or(form("id", s.ID, systemForm), form("version", cmp.Or(s.Version, "0"), systemForm), form("variant", cmp.Or(s.Variant, "0"), systemForm)); err != nil {
			return err
		}
	}
	return nil
}
