// SPDX-License-Identifier: Apache-2.0

// Package source reads sources.toml, the one reviewed file that says what a payload is made of:
// upstream's archives, sets of RPM packages and staged directories, each pinned by a digest. It
// decides on values alone and opens none of them.
package source

import (
	"fmt"
	"path"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/kata-node/kata-node/internal/stricttoml"
)

// The values of Archive.Shim.
const (
	ShimGo        = "go"
	ShimRuntimeRS = "runtime-rs"
	// ShimBoth is that of archives before Kata 4.1, which hold both shims.
	ShimBoth = "both"
)

// Sources is the whole file.
type Sources struct {
	// Name is the payload's, for people.
	Name string `toml:"name"`
	// Kata is the version of Kata in the archives, such as 4.2.0.
	Kata string `toml:"kata"`
	// Version is the payload's; empty means that of Kata.
	Version string `toml:"version"`
	// ShimCompatibility is as in manifest.Manifest.
	ShimCompatibility string `toml:"shimCompatibility"`
	// OpenShift and Kubernetes are version ranges; empty means any.
	OpenShift   string      `toml:"openshift"`
	Kubernetes  string      `toml:"kubernetes"`
	Archives    []Archive   `toml:"archives"`
	RPMs        []RPMSet    `toml:"rpms"`
	Directories []Directory `toml:"directories"`
}

// Location says where something is: exactly one of the three, and its pin.
type Location struct {
	URL string `toml:"url"`
	// File and Directory are relative to the directory that holds sources.toml.
	File      string `toml:"file"`
	Directory string `toml:"directory"`
	// SHA256 is the digest of the file in lower-case hex; for a directory see archive.Directory.
	// Empty is refused, with the measured digest, when the source is used.
	SHA256 string `toml:"sha256"`
}

// Archive is one of upstream's release archives. Shim and Architecture may be left out where the
// name is one of upstream's.
type Archive struct {
	Location

	Shim         string `toml:"shim"`
	Architecture string `toml:"architecture"`
}

// RPMSet is a set of packages that hosts layer together.
type RPMSet struct {
	Set string `toml:"set"`
	// Systems are the hosts that it is for, by their os-release, as in manifest.System. Empty means
	// every one.
	Systems      []System   `toml:"systems"`
	Architecture string     `toml:"architecture"`
	Profiles     []string   `toml:"profiles"`
	Packages     []Location `toml:"packages"`
}

// System is an operating system.
type System struct {
	ID      string `toml:"id"`
	Version string `toml:"version"`
	Variant string `toml:"variant"`
}

// Directory is a directory staged as the image's root, which becomes one component.
type Directory struct {
	Location

	Component string `toml:"component"`
	// Architecture and Profiles limit where it is used; empty means everywhere.
	Architecture string   `toml:"architecture"`
	Profiles     []string `toml:"profiles"`
}

// Parse reads and judges sources.toml. An unknown key is refused by name and line.
func Parse(text []byte) (Sources, error) {
	var s Sources
	if err := stricttoml.Decode(text, &s); err != nil {
		return Sources{}, err
	}
	for i := range s.Archives {
		if err := s.Archives[i].complete(s.Kata); err != nil {
			return Sources{}, fmt.Errorf("archive %s: %w", s.Archives[i].Location, err)
		}
	}
	return s, s.validate()
}

// Archive returns the archive for that architecture that holds the shim.
func (s Sources) Archive(architecture, shim string) (Archive, error) {
	for _, a := range s.Archives {
		if a.Architecture == architecture && (a.Shim == shim || a.Shim == ShimBoth) {
			return a, nil
		}
	}
	return Archive{}, fmt.Errorf("no archive with the shim %q for %s: declare one (upstream's name is %s)", shim, architecture, s.upstreamName(architecture, shim))
}

func (s Sources) upstreamName(architecture, shim string) string {
	if shim == ShimGo && s.split() {
		return fmt.Sprintf("kata-go-static-%s-%s.tar.zst", s.Kata, architecture)
	}
	return fmt.Sprintf("kata-static-%s-%s.tar.zst", s.Kata, architecture)
}

// split tells whether upstream ships the two shims in two archives.
func (s Sources) split() bool {
	v, err := semver.NewVersion(s.Kata)
	return err == nil && !v.LessThan(firstSplit())
}

// firstSplit is the first version of Kata that ships the Go shim in an archive of its own.
func firstSplit() *semver.Version { return semver.New(4, 1, 0, "", "") }

// For returns the sets and directories that a profile gets on an architecture.
func (s Sources) For(profile, architecture string) ([]RPMSet, []Directory) {
	fits := func(profiles []string, wanted string) bool {
		return (len(profiles) == 0 || slices.Contains(profiles, profile)) && (wanted == "" || wanted == architecture)
	}
	var sets []RPMSet
	for _, set := range s.RPMs {
		if fits(set.Profiles, set.Architecture) {
			sets = append(sets, set)
		}
	}
	var dirs []Directory
	for _, d := range s.Directories {
		if fits(d.Profiles, d.Architecture) {
			dirs = append(dirs, d)
		}
	}
	return sets, dirs
}

// String names the location as sources.toml does.
func (l Location) String() string {
	for _, name := range []string{l.URL, l.File, l.Directory} {
		if name != "" {
			return name
		}
	}
	return "without a location"
}

// Name is the last part of the location.
func (l Location) Name() string { return path.Base(l.String()) }
