// SPDX-License-Identifier: Apache-2.0

// Package assemble turns a staged directory and a description into a payload image, bit for bit the
// same wherever and whenever it runs. It refuses what a node must not mount, before the first byte
// is compressed, and publishes nothing.
package assemble

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/internal/stricttoml"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Description says what a staged directory is: payload.toml. Paths are relative to that directory.
type Description struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	// Architecture is a Go architecture name, such as amd64. Empty means that of the program that
	// builds.
	Architecture string `toml:"architecture"`
	// Prefix is the absolute directory below which base configurations name files of the payload,
	// as in manifest.Manifest.
	Prefix string `toml:"prefix"`
	// ShimCompatibility is equal in two payloads exactly when the shim of each can reach the
	// running sandboxes of the other.
	ShimCompatibility string `toml:"shimCompatibility"`
	// OpenShift and Kubernetes are version ranges; empty means any.
	OpenShift  string   `toml:"openshift"`
	Kubernetes string   `toml:"kubernetes"`
	Requires   Requires `toml:"requires"`
	// Guest is for payloads whose guest runs the host's kernel.
	Guest      *Guest      `toml:"guest"`
	Handlers   []Handler   `toml:"handlers"`
	Components []Component `toml:"components"`
	// Packages are the RPM packages among the staged files.
	Packages []manifest.Package `toml:"packages"`
	// PackageSets say which hosts the sets of packages are for.
	PackageSets []manifest.PackageSet `toml:"packageSets"`
}

// Requires says what the host must bring.
type Requires struct {
	// KVM is whether the payload starts virtual machines. Left out, it does where the host has to
	// bring anything.
	KVM       *bool `toml:"kvm"`
	QEMU      bool  `toml:"qemu"`
	Virtiofsd bool  `toml:"virtiofsd"`
	Kernel    bool  `toml:"kernel"`
	// OldestKernel is the oldest kernel that the host may run, as in manifest.Requires.
	OldestKernel string `toml:"oldestKernel"`
}

func (r Requires) manifest() manifest.Requires {
	m := manifest.Requires{QEMU: r.QEMU, Virtiofsd: r.Virtiofsd, Kernel: r.Kernel, OldestKernel: r.OldestKernel, KVM: r.QEMU || r.Virtiofsd || r.Kernel}
	if r.KVM != nil {
		m.KVM = *r.KVM
	}
	return m
}

// Guest says what the initrd of a guest is made of, as in manifest.Guest.
type Guest struct {
	Initrd          string   `toml:"initrd"`
	Modules         []string `toml:"modules"`
	OptionalModules []string `toml:"optionalModules"`
	Kernel          string   `toml:"kernel"`
}

// Handler is one handler that the payload offers.
type Handler struct {
	Name    string `toml:"name"`
	Type    string `toml:"type"`
	Shim    string `toml:"shim"`
	Config  string `toml:"config"`
	Dialect string `toml:"dialect"`
}

// Component becomes one layer. Components are listed in order of change rate, slowest first.
type Component struct {
	Name string `toml:"name"`
	// Version is the payload's own where it is left out.
	Version string `toml:"version"`
	// Paths are patterns as in manifest.Component; at most one component may have none, and takes
	// the rest.
	Paths []string `toml:"paths"`
}

// ParseDescription reads a description. An unknown key is refused by name and line, so that no
// typing mistake is lost.
func ParseDescription(text []byte) (Description, error) {
	var d Description
	if err := stricttoml.Decode(text, &d); err != nil {
		return Description{}, fmt.Errorf("reading description: %w", err)
	}
	return d, nil
}

// Set overrides one top-level key, as in Set("version", "2.0.0").
func (d *Description) Set(key, value string) error {
	fields := map[string]*string{
		"name": &d.Name, "version": &d.Version, "architecture": &d.Architecture,
		"shimCompatibility": &d.ShimCompatibility, "openshift": &d.OpenShift, "kubernetes": &d.Kubernetes,
	}
	field, known := fields[key]
	if !known {
		return fmt.Errorf("setting %q in the description: the keys that can be set are %s", key, strings.Join(sortedKeys(fields), ", "))
	}
	*field = value
	return nil
}

func sortedKeys(fields map[string]*string) []string {
	var keys []string
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// manifest returns the description as a manifest without files.
func (d Description) manifest() manifest.Manifest {
	m := manifest.Manifest{
		Version: manifest.Version, Name: d.Name, PayloadVersion: d.Version, Architecture: cmp.Or(d.Architecture, runtime.GOARCH),
		Prefix: d.Prefix, ShimCompatibility: d.ShimCompatibility, OpenShift: d.OpenShift, Kubernetes: d.Kubernetes,
		Requires: d.Requires.manifest(), Guest: (*manifest.Guest)(d.Guest), Packages: d.Packages, PackageSets: d.PackageSets,
	}
	for _, h := range d.Handlers {
		m.Handlers = append(m.Handlers, manifest.Handler{
			Name: h.Name, Type: manifest.Type(h.Type), Shim: h.Shim, Config: h.Config, Dialect: manifest.Dialect(h.Dialect),
		})
	}
	for _, c := range d.Components {
		m.Components = append(m.Components, manifest.Component{Name: c.Name, Version: cmp.Or(c.Version, d.Version), Paths: c.Paths})
	}
	return m
}
