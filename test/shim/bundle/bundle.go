// SPDX-License-Identifier: Apache-2.0

// Package bundle reads what the test shim needs from an OCI bundle's config.json.
// It knows the annotations by which CRI-O says which sandbox a container belongs to.
package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const (
	containerType = "io.kubernetes.cri-o.ContainerType"
	sandboxID     = "io.kubernetes.cri-o.SandboxID"
	typeContainer = "container"

	// shimPrefix is Kata's own mark of a cgroup.
	shimPrefix = "kata_"
)

// Bundle is one container's view of its config.json.
type Bundle struct{ spec specs.Spec }

// Read decodes config.json in dir.
func Read(dir string) (Bundle, error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return Bundle{}, fmt.Errorf("reading bundle: %w", err)
	}
	var b Bundle
	if err := json.Unmarshal(data, &b.spec); err != nil {
		return Bundle{}, fmt.Errorf("decoding bundle %s: %w", dir, err)
	}
	return b, nil
}

// SandboxOf returns the sandbox that container id lives in: another's for a workload container, its
// own otherwise.
func (b Bundle) SandboxOf(id string) string {
	if owner := b.spec.Annotations[sandboxID]; owner != "" && b.spec.Annotations[containerType] == typeContainer {
		return owner
	}
	return id
}

// NetworkNamespace is the path of the namespace the sandbox is to live in; empty means that the
// runtime makes one. For a sandbox in the host's network CRI-O names a process of the host here.
func (b Bundle) NetworkNamespace() string {
	if b.spec.Linux == nil {
		return ""
	}
	for _, ns := range b.spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			return ns.Path
		}
	}
	return ""
}

// ShimCgroup is where the shim belongs, relative to each hierarchy's root; empty means "stay". It
// is next to the container's own cgroup, and so in the pod's: runc deletes the container's, and may
// kill everything in it.
func (b Bundle) ShimCgroup() string {
	path := b.cgroupsPath()
	if path == "" {
		return ""
	}
	if slice, name, ok := scope(path); ok {
		return filepath.Join(sliceDir(slice), shimPrefix+name)
	}
	return filepath.Join(filepath.Dir(path), shimPrefix+filepath.Base(path))
}

// SystemdCgroup tells whether the container's cgroup is a scope that systemd makes.
func (b Bundle) SystemdCgroup() bool {
	_, _, ok := scope(b.cgroupsPath())
	return ok
}

func (b Bundle) cgroupsPath() string {
	if b.spec.Linux == nil {
		return ""
	}
	return b.spec.Linux.CgroupsPath
}

// scope splits slice:prefix:name, the form that asks for systemd.
func scope(path string) (slice, name string, ok bool) {
	parts := strings.Split(path, ":")
	if len(parts) != 3 {
		return "", "", false
	}
	return parts[0], parts[1] + "-" + parts[2], true
}

// sliceDir is the directory of a slice: a-b.slice is in a.slice.
func sliceDir(slice string) string {
	var dir string
	name := strings.TrimSuffix(slice, ".slice")
	for at := range name {
		if name[at] == '-' {
			dir = filepath.Join(dir, name[:at]+".slice")
		}
	}
	return filepath.Join(dir, slice)
}
