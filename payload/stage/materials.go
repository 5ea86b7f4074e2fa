// SPDX-License-Identifier: Apache-2.0

package stage

import "github.com/kata-node/kata-node/payload/source"

// Material is a source that something was taken from, with the digest that it has been compared
// with.
type Material struct {
	source.Location

	// Version is that of what is in it, and empty where only its own header says so.
	Version string
	// Components are those that it went into.
	Components []string
}

// materials are in the order of the sources' declaration: packages, directories, archives.
func (s *stager) materials() []Material {
	var all []Material
	sets, dirs := s.Sources.For(s.Profile, s.Architecture)
	for _, set := range sets {
		for _, l := range set.Packages {
			all = append(all, Material{Location: l, Components: []string{setComponent(set)}})
		}
	}
	for _, d := range dirs {
		all = append(all, Material{Location: d.Location, Version: s.version(), Components: []string{d.Component}})
	}
	at := map[string]int{}
	for _, c := range s.profile.Components {
		a := s.archives[c.Shim].Archive
		i, listed := at[a.String()]
		if !listed {
			i = len(all)
			at[a.String()] = i
			all = append(all, Material{Location: a.Location, Version: s.Sources.Kata})
		}
		all[i].Components = append(all[i].Components, c.Name)
	}
	return all
}

// setComponent is the component that the packages of a set are.
func setComponent(set source.RPMSet) string { return "rpms-" + set.Set }
