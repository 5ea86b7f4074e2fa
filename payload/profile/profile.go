// SPDX-License-Identifier: Apache-2.0

// Package profile says what of upstream's archives gets into a payload, as data: profiles.toml has
// the components with their paths in upstream's layout, the handlers, the settings that are laid
// over upstream's configuration, and the profiles that combine them. It reads no other file.
package profile

import (
	_ "embed" // for profiles.toml
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/kata-node/kata-node/internal/stricttoml"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Default is the profile of a build that names none.
const Default = "host-qemu"

//go:embed profiles.toml
var embedded []byte

// Profile is one profile, made ready for an architecture. All paths are relative to the image's
// root.
type Profile struct {
	Name       string
	Summary    string
	Prefix     string
	Requires   assemble.Requires
	Handlers   []Handler
	Components []Component
}

// Component is one layer's share of an archive.
type Component struct {
	Name string
	// Shim says which archive has it: the one with that shim.
	Shim string
	// Versioned is the key in Kata's versions.yaml that has its version, with dots; empty means
	// that of Kata.
	Versioned string
	// Paths are patterns as in path.Match, each of which must match something. Optional ones need
	// not. A symbolic link brings what it leads to, a directory everything below it.
	Paths, Optional []string
}

// Handler is a handler, and what its base configuration says differently from upstream's.
type Handler struct {
	assemble.Handler

	// Archive says which archive has it: the one with that shim.
	Archive string
	// Settings are laid over upstream's configuration: tables are merged, all else is replaced.
	Settings map[string]any
}

// Names returns the names of all profiles, sorted.
func Names() ([]string, error) {
	f, err := parse(embedded)
	return slices.Sorted(maps.Keys(f.Profiles)), err
}

// For returns the profile of that name for a Go architecture and a version of Kata. The error says
// which versions the profile is for.
func For(name, architecture, kata string) (Profile, error) {
	f, err := parse(embedded)
	if err != nil {
		return Profile{}, err
	}
	p, found := f.Profiles[name]
	if !found {
		return Profile{}, fmt.Errorf("profile %q is unknown: the profiles are %s", name, strings.Join(slices.Sorted(maps.Keys(f.Profiles)), ", "))
	}
	if err := p.fits(name, kata); err != nil {
		return Profile{}, err
	}
	words, found := f.Architectures[architecture]
	if !found {
		return Profile{}, fmt.Errorf("profile %q is not made for architecture %q: those with one are %s",
			name, architecture, strings.Join(slices.Sorted(maps.Keys(f.Architectures)), ", "))
	}
	words["prefix"] = f.Prefix
	return f.resolve(name, p, words), nil
}

func (p filedProfile) fits(name, kata string) error {
	if p.Kata == "" {
		return nil
	}
	allowed, err := semver.NewConstraint(p.Kata)
	if err != nil {
		return fmt.Errorf("profile %q: kata: %w", name, err)
	}
	v, err := semver.NewVersion(kata)
	if err != nil {
		return fmt.Errorf("version of Kata %q: %w", kata, err)
	}
	if !allowed.Check(v) {
		return fmt.Errorf("profile %q needs Kata %s, and the sources have %s: %s", name, p.Kata, kata, p.KataReason)
	}
	return nil
}

// filed is profiles.toml.
type filed struct {
	Prefix        string                       `toml:"prefix"`
	Architectures map[string]map[string]string `toml:"architectures"`
	Components    map[string]filedComponent    `toml:"components"`
	Handlers      map[string]filedHandler      `toml:"handlers"`
	Settings      map[string]map[string]any    `toml:"settings"`
	Profiles      map[string]filedProfile      `toml:"profiles"`
}

type filedComponent struct {
	Shim      string   `toml:"shim"`
	Versioned string   `toml:"versioned"`
	Paths     []string `toml:"paths"`
	Optional  []string `toml:"optional"`
}

type filedHandler struct {
	Name    string `toml:"name"`
	Shim    string `toml:"shim"`
	Config  string `toml:"config"`
	Dialect string `toml:"dialect"`
	Archive string `toml:"archive"`
}

type filedProfile struct {
	Summary string `toml:"summary"`
	// Kata is the range of versions that the profile is for, and KataReason why.
	Kata       string            `toml:"kata"`
	KataReason string            `toml:"kataReason"`
	Components []string          `toml:"components"`
	Handlers   []string          `toml:"handlers"`
	Settings   []string          `toml:"settings"`
	Requires   assemble.Requires `toml:"requires"`
}

func parse(text []byte) (filed, error) {
	var f filed
	if err := stricttoml.Decode(text, &f); err != nil {
		return filed{}, fmt.Errorf("reading profiles.toml: %w", err)
	}
	return f, nil
}

func (f filed) resolve(name string, p filedProfile, words map[string]string) Profile {
	out := Profile{Name: name, Summary: p.Summary, Prefix: f.Prefix, Requires: p.Requires}
	for _, c := range p.Components {
		from := f.Components[c]
		out.Components = append(out.Components, Component{
			Name: c, Shim: from.Shim, Versioned: from.Versioned,
			Paths: f.paths(from.Paths, words), Optional: f.paths(from.Optional, words),
		})
	}
	for _, h := range p.Handlers {
		from, settings := f.Handlers[h], map[string]any{}
		for _, s := range p.Settings {
			Merge(settings, expand(f.Settings[s], words))
		}
		files := f.paths([]string{from.Shim, from.Config}, words)
		out.Handlers = append(out.Handlers, Handler{
			Archive: from.Archive, Settings: settings,
			Handler: assemble.Handler{Name: from.Name, Type: string(manifest.TypeVM), Shim: files[0], Config: files[1], Dialect: from.Dialect},
		})
	}
	return out
}

// paths puts the prefix before paths in upstream's layout.
func (f filed) paths(names []string, words map[string]string) []string {
	var out []string
	for _, name := range names {
		out = append(out, path.Join(strings.TrimPrefix(f.Prefix, "/"), fill(name, words)))
	}
	return out
}
