// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
)

const annotationPrefix = "io.kubernetes.cri-o."

// writeBundle makes the OCI bundle that a shim reads: annotations, namespaces and cgroup, no root
// file system.
func writeBundle(dir string, r sandbox.Record, cgroupParent string) error {
	data, err := json.Marshal(spec(r, cgroupParent))
	if err != nil {
		return fmt.Errorf("encoding bundle: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making bundle: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600)
}

func spec(r sandbox.Record, cgroupParent string) specs.Spec {
	s := specs.Spec{
		Version: specs.Version,
		Annotations: map[string]string{
			annotationPrefix + "ContainerType":  "sandbox",
			annotationPrefix + "SandboxID":      r.ID,
			annotationPrefix + "KubeName":       r.PodName,
			annotationPrefix + "Namespace":      r.Namespace,
			annotationPrefix + "RuntimeHandler": r.Handler,
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace, Path: networkNamespace(r)},
		}},
	}
	if cgroupParent != "" {
		s.Linux.CgroupsPath = filepath.Join(cgroupParent, "pod"+r.UID, "crio-"+r.ID)
	}
	return s
}

// networkNamespace is this process's own for host network. A pod's is only a name: nothing in a
// sandbox without VM enters it.
func networkNamespace(r sandbox.Record) string {
	if r.HostNetwork {
		return fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
	}
	return filepath.Join("/run/netns", r.ID)
}
