// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// PackageDir is the directory of a payload below which its RPM packages lie, relative to the
// image's root: one directory for each set.
const PackageDir = "usr/share/kata-payload/rpms"

var (
	// rpmForm is what RPM allows in a version or release, which have no dash.
	rpmForm             = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~^]{0,127}$`)
	rpmArchitectureForm = regexp.MustCompile(`^[a-z0-9_]{1,16}$`)
)

// Package is an RPM package that the payload holds and a host may layer. Its digest is that of the
// file at Path.
type Package struct {
	// Set is the name of the packages that are installed together; see PackageSet.
	Set     string `json:"set"`
	Name    string `json:"name"`
	Epoch   int    `json:"epoch,omitzero"`
	Version string `json:"version"`
	Release string `json:"release"`
	// Architecture is RPM's name of it, such as x86_64 or noarch.
	Architecture string `json:"architecture"`
	// Path is relative to the image's root.
	Path string `json:"path"`
}

// NEVRA returns the package's full name as RPM writes it; an epoch of 0 is left out.
func (p Package) NEVRA() string {
	epoch := ""
	if p.Epoch != 0 {
		epoch = fmt.Sprintf("%d:", p.Epoch)
	}
	return fmt.Sprintf("%s-%s%s-%s.%s", p.Name, epoch, p.Version, p.Release, p.Architecture)
}

// FileName returns the name that RPM gives to the package's file.
func (p Package) FileName() string {
	return fmt.Sprintf("%s-%s-%s.%s.rpm", p.Name, p.Version, p.Release, p.Architecture)
}

func (m Manifest) validatePackages() error {
	names, paths := map[string]string{}, map[string]bool{}
	for _, p := range m.Packages {
		if err := m.validatePackage(p); err != nil {
			return fmt.Errorf("package %q: %w", p.Name, err)
		}
		name := p.Set + " " + p.Name + "." + p.Architecture
		if other, twice := names[name]; twice {
			return fmt.Errorf("packages %s and %s are both in set %q: a host installs one of them", other, p.NEVRA(), p.Set)
		}
		if paths[p.Path] {
			return fmt.Errorf("package %q: %s is the file of another package too", p.Name, p.Path)
		}
		names[name], paths[p.Path] = p.NEVRA(), true
	}
	return m.validateSets()
}

func (m Manifest) validatePackage(p Package) error {
	if p.Epoch < 0 {
		return fmt.Errorf("epoch is %d, must not be negative", p.Epoch)
	}
	if path.Dir(p.Path) != PackageDir+"/"+p.Set || !strings.HasSuffix(p.Path, ".rpm") {
		return fmt.Errorf("path is %q, must be %s/SET/NAME.rpm", p.Path, PackageDir)
	}
	if f, found := m.File(p.Path); !found || f.Link != "" {
		return fmt.Errorf("%s is not a file of the payload", p.Path)
	}
	return cmp.Or(
		form("set", p.Set, wordForm), form("name", p.Name, wordForm), form("version", p.Version, rpmForm),
		form("release", p.Release, rpmForm), form("architecture", p.Architecture, rpmArchitectureForm),
	)
}
