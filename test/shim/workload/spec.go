// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kata-node/kata-node/test/shim/capabilities"
)

const specFile = "config.json"

// writeGuestBundle makes in dir the bundle that runc reads, from CRI-O's. CRI-O's own is not
// changed: CRI-O reads it again after a restart.
func writeGuestBundle(dir, bundle string) error {
	data, err := os.ReadFile(filepath.Join(bundle, specFile))
	if err != nil {
		return fmt.Errorf("reading bundle: %w", err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return fmt.Errorf("decoding bundle %s: %w", bundle, err)
	}
	taken, err := capabilities.Taken()
	if err != nil {
		return err
	}
	if data, err = json.Marshal(guestSpec(spec, bundle, taken)); err != nil {
		return fmt.Errorf("encoding bundle %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("making bundle: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, specFile), data, 0o600)
}

// guestSpec is the spec that applies in a guest, on a host that took some capabilities.
func guestSpec(spec specs.Spec, bundle string, taken []string) specs.Spec {
	if spec.Process != nil {
		process := guestProcess(*spec.Process, taken)
		spec.Process = &process
	}
	if spec.Root != nil && !filepath.IsAbs(spec.Root.Path) {
		root := *spec.Root
		root.Path = filepath.Join(bundle, root.Path)
		spec.Root = &root
	}
	if spec.Linux != nil {
		linux := *spec.Linux
		linux.CgroupsPath = guestCgroup(linux.CgroupsPath)
		spec.Linux = &linux
	}
	return spec
}

// guestCgroup is the path from the root of each hierarchy. CRI-O's has no leading slash where a pod
// has no parent, and runc would make it below the shim's own. With colons it names a systemd scope.
func guestCgroup(path string) string {
	if path == "" || strings.Contains(path, ":") {
		return path
	}
	return filepath.Join("/", path)
}

// guestProcess is a process without what belongs to the host. Kata's guest applies neither the
// host's OOM score nor its limits, and runc could not raise them without CAP_SYS_RESOURCE. A guest
// has all capabilities, runc those of the host.
func guestProcess(process specs.Process, taken []string) specs.Process {
	process.OOMScoreAdj, process.Rlimits = nil, nil
	process.Capabilities = capabilities.Without(process.Capabilities, taken)
	return process
}

// guestExec is guestProcess for the process in an exec request, which is JSON.
func guestExec(request *anypb.Any) (*anypb.Any, error) {
	var process specs.Process
	if err := json.Unmarshal(request.GetValue(), &process); err != nil {
		return nil, fmt.Errorf("decoding process to execute: %w", err)
	}
	taken, err := capabilities.Taken()
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(guestProcess(process, taken))
	if err != nil {
		return nil, fmt.Errorf("encoding process to execute: %w", err)
	}
	return &anypb.Any{TypeUrl: request.GetTypeUrl(), Value: value}, nil
}
