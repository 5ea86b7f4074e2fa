// SPDX-License-Identifier: Apache-2.0

// Package bundle reads what the test shim needs from an OCI bundle's config.json.
// It knows the annotations by which CRI-O says which sandbox a container belongs to.
package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const (
	containerType = "io.kubernetes.cri-o.ContainerType"
	sandboxID     = "io.kubernetes.cri-o.SandboxID"
	typeContainer = "container"
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

// CgroupsPath is where the shim belongs, relative to each hierarchy's root; empty means "stay".
func (b Bundle) CgroupsPath() string {
	if b.spec.Linux == nil {
		return ""
	}
	return b.spec.Linux.CgroupsPath
}
