// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Broken makes the sandboxes of a shim that contains it fail to start.
const Broken = "exit 1"

// Hanging makes CRI-O wait for the shims that contain it.
const Hanging = "sleep infinity"

// Hollow makes containers in the sandboxes of a shim that contains it fail to start.
const Hollow = "exit 2"

// Places in every payload of this package.
const (
	ShimFile   = "usr/bin/" + host.Shim
	ConfigFile = "usr/share/defaults/configuration.toml"
	// KernelFile is named by the base configuration.
	KernelFile = "opt/kata/share/vmlinux"
	// BaseFile is what guests are made of.
	BaseFile = "opt/kata/share/base.initrd"
)

// furtherFile is the configuration of further handlers.
const furtherFile = "usr/share/defaults/configuration-further.toml"

// Payload is one that the registry serves.
type Payload struct {
	Version string
	// Shim is the program's text.
	Shim string
	// Further are names of further handlers, which have the same program. FurtherConfig is added to
	// their configuration.
	Further       []string
	FurtherConfig string
	// Requires is what its host must bring.
	Requires manifest.Requires
	// Modules are those that a guest needs of the host's kernel. The payload brings all of its
	// guest where there are none.
	Modules []string
	// Packages are versions by name. Sets are the systems for which the payload has a set of them,
	// by its name, which ends the release of its packages; without any there is one set for every
	// system.
	Packages map[string]string
	Sets     map[string][]manifest.System
	// Damage replaces the content of files after the manifest was written; the manifest's own too.
	Damage map[string]string
}

func (p Payload) files() map[string]string {
	config := "[hypervisor.qemu]\nkernel = '/" + KernelFile + "'\n[runtime]\nversion = '" + p.Version + "'\n"
	files := map[string]string{KernelFile: "a kernel", BaseFile: "a base", ShimFile: p.Shim, ConfigFile: config}
	if len(p.Further) > 0 {
		files[furtherFile] = config + p.FurtherConfig
	}
	for _, rpm := range p.packages() {
		files[rpm.Path] = rpm.NEVRA()
	}
	return files
}

func (p Payload) manifest() []byte {
	m := manifest.Manifest{
		Version: manifest.Version, Name: "kata-test", PayloadVersion: p.Version, Architecture: "amd64", ShimCompatibility: "1", Prefix: "/opt/kata",
		Handlers:   []manifest.Handler{{Name: node.Handler, Type: manifest.TypeVM, Shim: ShimFile, Config: ConfigFile, Dialect: manifest.DialectGo}},
		Components: []manifest.Component{{Name: "all", Version: p.Version}}, Requires: p.Requires, Packages: p.packages(),
	}
	for _, set := range slices.Sorted(maps.Keys(p.Sets)) {
		m.PackageSets = append(m.PackageSets, manifest.PackageSet{Name: set, Systems: p.Sets[set]})
	}
	for _, name := range p.Further {
		further := m.Handlers[0]
		further.Name, further.Config = node.FurtherHandler(name), furtherFile
		m.Handlers = append(m.Handlers, further)
	}
	if len(p.Modules) > 0 {
		m.Requires.Kernel, m.Guest = true, &manifest.Guest{Initrd: BaseFile, Kernel: KernelFile, Modules: p.Modules}
	}
	files := p.files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		sum := sha256.Sum256([]byte(content))
		m.Files = append(m.Files, manifest.File{Path: name, Mode: mode(name), Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
	}
	document, err := manifest.Encode(m)
	if err != nil {
		panic(err) // the document is this package's own
	}
	return document
}

func (p Payload) packages() []manifest.Package {
	releases := map[string]string{"host": "1"}
	for i, set := range slices.Sorted(maps.Keys(p.Sets)) {
		if i == 0 {
			clear(releases)
		}
		releases[set] = "1." + set
	}
	var all []manifest.Package
	for _, set := range slices.Sorted(maps.Keys(releases)) {
		for _, name := range slices.Sorted(maps.Keys(p.Packages)) {
			one := manifest.Package{Set: set, Name: name, Version: p.Packages[name], Release: releases[set], Architecture: "x86_64"}
			one.Path = path.Join(manifest.PackageDir, one.Set, one.FileName())
			all = append(all, one)
		}
	}
	return all
}

func mode(name string) manifest.Mode {
	if name == ShimFile {
		return 0o755
	}
	return 0o644
}

// Reference names the payload by the digest of its manifest, which stands for the image's here.
func (p Payload) Reference() string { return "registry.example/kata@" + manifest.Digest(p.manifest()) }

// Platform is the digest that stands for the payload in the id of its slot.
func (p Payload) Platform() string { return manifest.Digest(p.manifest()) }

func (p Payload) image(asked string) host.Image {
	digest := p.Platform()
	return host.Image{ID: digest[len("sha256:"):], Digests: slices.Compact([]string{asked, digest}), Platform: digest, Manifest: digest, Version: p.Version}
}

// unpack is what remains of the payload on disk once it was pulled.
func (p Payload) unpack(dir string) error {
	content := p.files()
	content[manifest.Path] = string(p.manifest())
	maps.Copy(content, p.Damage)
	for name, text := range content {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.Chmod(file, mode(name).Perm()); err != nil {
			return err
		}
	}
	return nil
}
