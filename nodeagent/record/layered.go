// SPDX-License-Identifier: Apache-2.0

package record

import (
	"slices"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Needs are the programs that a payload leaves to its host.
type Needs struct {
	QEMU      bool `json:"qemu,omitempty"`
	Virtiofsd bool `json:"virtiofsd,omitempty"`
}

// Package is an RPM package that a payload holds for its hosts.
type Package struct {
	Set  string `json:"set,omitempty"`
	Name string `json:"name"`
	// NEVRA is the full name, as rpm-ostree lists it.
	NEVRA string `json:"nevra"`
	// Path is relative to the payload's root.
	Path string `json:"path,omitempty"`
}

// Layered are the packages that the agent has layered on this host, or was about to. It is written
// before rpm-ostree is asked: what is not in it is never uninstalled.
type Layered struct {
	Packages []Package `json:"packages"`
	// Boot is the boot in which rpm-ostree was asked last, Attempts how many times in a row it has
	// staged the same ones.
	Boot     string `json:"boot"`
	Attempts int    `json:"attempts"`
	// Refused is the checksum of the deployment that could not be applied to the running system.
	Refused string `json:"refused,omitempty"`
}

// Covers reports whether the record has all of these packages.
func (l Layered) Covers(packages []Package) bool {
	return !slices.ContainsFunc(packages, func(p Package) bool { return !l.Has(p.NEVRA) })
}

// Has reports whether the record has a package of that full name.
func (l Layered) Has(nevra string) bool {
	return slices.ContainsFunc(l.Packages, func(p Package) bool { return p.NEVRA == nevra })
}

// LoadLayered returns nil where the agent has layered nothing.
func LoadLayered(files host.FileReader) (*Layered, error) {
	return load[Layered](files, host.LayeredFile)
}

// Save replaces the record.
func (l Layered) Save(files host.FileWriter) error { return save(files, host.LayeredFile, l) }

// RemoveLayered deletes the record: no deployment that may run has a package of ours.
func RemoveLayered(files host.FileWriter) error { return files.Remove(host.LayeredFile) }
