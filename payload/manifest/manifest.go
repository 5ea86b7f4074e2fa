// SPDX-License-Identifier: Apache-2.0

// Package manifest describes what a payload image holds: its handlers, its components, what it asks
// of a host, and every file by digest. It reads, writes and judges that description, and touches
// neither files nor network.
package manifest

import (
	"cmp"
	"slices"
)

const (
	// Version is the version of the document that this package writes and reads.
	Version = 1
	// Path is where the document lies in a payload image, relative to its root. The document does
	// not list itself.
	Path = "usr/share/kata-payload/manifest.json"
	// Label is the label of an image's configuration that names the digest of the document inside,
	// as sha256:hex.
	Label = "io.kata-node.payload.manifest"

	// RequiresLabel is the label that has the document's Requires as JSON, so that an unfit host
	// can refuse the image before any layer is fetched.
	RequiresLabel = "io.kata-node.payload.requires"
	// MaxSize is the largest document that Decode reads, in bytes.
	MaxSize = 16 << 20
)

// Type is CRI-O's runtime_type of a handler.
type Type string

// The types of handlers. Those of type oci exist for tests.
const (
	TypeVM  Type = "vm"
	TypeOCI Type = "oci"
)

// Dialect is the language of a handler's base configuration.
type Dialect string

// The dialects of configuration.toml that Kata's two shims speak.
const (
	DialectGo        Dialect = "go"
	DialectRuntimeRS Dialect = "runtime-rs"
)

// Manifest is the whole document.
type Manifest struct {
	Version int `json:"version"`
	// Name and PayloadVersion are for people; the image's digest is its identity.
	Name           string `json:"name"`
	PayloadVersion string `json:"payloadVersion"`
	// Architecture is a Go architecture name, such as amd64.
	Architecture string `json:"architecture"`
	// Prefix is the absolute directory below which the handlers' base configurations name files of
	// the payload, such as /opt/kata. Empty means that they name files of the host alone.
	Prefix string `json:"prefix,omitempty"`
	// ShimCompatibility is equal in two payloads exactly when the shim of each can reach the
	// running sandboxes of the other.
	ShimCompatibility string `json:"shimCompatibility"`
	// Handlers has at least one entry; the names are unique.
	Handlers []Handler `json:"handlers"`
	// Components are in order of change rate, slowest first: one image layer each.
	Components []Component `json:"components"`
	// Packages are the RPM packages among the files, for hosts that layer packages; see Package.
	Packages []Package `json:"packages,omitempty"`
	// PackageSets say which hosts the sets of packages are for.
	PackageSets []PackageSet `json:"packageSets,omitempty"`
	Requires    Requires     `json:"requires"`
	// Guest is nil where the base configuration names kernel and initrd.
	Guest *Guest `json:"guest,omitempty"`
	// OpenShift and Kubernetes are the version ranges that the payload is made for. Empty means
	// any.
	OpenShift  string `json:"openshift"`
	Kubernetes string `json:"kubernetes"`
	// Files lists every regular file and symbolic link of the image except the document itself,
	// sorted by path.
	Files []File `json:"files"`
}

// Handler is one entry that CRI-O can be given.
type Handler struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	// Shim is the path of the executable, relative to the image's root.
	Shim string `json:"shim"`
	// Config is the path of the base configuration, relative to the image's root.
	Config  string  `json:"config"`
	Dialect Dialect `json:"dialect"`
}

// Component is a part of the payload that changes at a rate of its own.
type Component struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Paths are patterns as in path.Match; see Claims. The component without any takes what no
	// other claims.
	Paths []string `json:"paths"`
}

// Requires says what the payload does not bring and the host must have.
type Requires struct {
	// KVM is whether the payload starts virtual machines, for which the host needs a processor,
	// devices and kernel modules.
	KVM  bool `json:"kvm,omitzero"`
	QEMU bool `json:"qemu"`
	// Virtiofsd is the daemon that serves a sandbox's files to its guest.
	Virtiofsd bool `json:"virtiofsd,omitzero"`
	// Kernel is whether the host brings the kernel of the guest.
	Kernel bool `json:"kernel"`
	// OldestKernel is the oldest version of the kernel that the host may run, such as 5.14. Empty
	// means any.
	OldestKernel string `json:"oldestKernel,omitempty"`
}

// File is a regular file, or a symbolic link when Link is set.
type File struct {
	Path string `json:"path"`
	Mode Mode   `json:"mode,omitzero"`
	// Size is in bytes.
	Size int64 `json:"size,omitzero"`
	// SHA256 is the digest of the content in lower-case hex.
	SHA256 string `json:"sha256,omitempty"`
	// Link is the target of a symbolic link, relative to the directory that holds it.
	Link string `json:"link,omitempty"`
}

// Handler returns the handler of that name.
func (m Manifest) Handler(name string) (Handler, bool) {
	i := slices.IndexFunc(m.Handlers, func(h Handler) bool { return h.Name == name })
	if i < 0 {
		return Handler{}, false
	}
	return m.Handlers[i], true
}

// File returns the entry with exactly that path. It relies on the order that Validate demands.
func (m Manifest) File(path string) (File, bool) {
	i, found := slices.BinarySearchFunc(m.Files, path, func(f File, path string) int { return cmp.Compare(f.Path, path) })
	if !found {
		return File{}, false
	}
	return m.Files[i], true
}
