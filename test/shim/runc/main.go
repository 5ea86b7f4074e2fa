// SPDX-License-Identifier: Apache-2.0

// Command runc is runc on a host that took capabilities from all its processes: it asks the real
// one for what is left of them, and for no OOM score where the host lets nobody lower one.
// Kubernetes' tests look at a node from privileged pods, and CRI-O protects pause containers.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/kata-node/kata-node/test/shim/capabilities"
)

const runc = "/usr/sbin/runc"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	taken, err := capabilities.Taken()
	if err != nil {
		return err
	}
	if err := lessen(args, taken); err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{runc}, args...), os.Environ()) //nolint:gosec // It stands for this program.
}

// lessen changes the file that a command names: the spec of a container that is created, or the
// process that is executed in one.
func lessen(args, taken []string) error {
	if bundle := value(args, "--bundle"); bundle != "" {
		return rewrite(filepath.Join(bundle, "config.json"), func(spec *specs.Spec) {
			if spec.Process != nil {
				spec.Process.Capabilities = capabilities.Without(spec.Process.Capabilities, taken)
				if slices.Contains(taken, "CAP_SYS_RESOURCE") {
					spec.Process.OOMScoreAdj = nil
				}
			}
		})
	}
	if process := value(args, "--process"); process != "" {
		return rewrite(process, func(process *specs.Process) {
			process.Capabilities = capabilities.Without(process.Capabilities, taken)
		})
	}
	return nil
}

// value is what follows an option, as conmon writes it.
func value(args []string, option string) string {
	if i := slices.Index(args, option); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

func rewrite[T any](file string, change func(*T)) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var value T
	if err := json.Unmarshal(content, &value); err != nil {
		return fmt.Errorf("decoding %s: %w", file, err)
	}
	change(&value)
	if content, err = json.Marshal(value); err != nil {
		return fmt.Errorf("encoding %s: %w", file, err)
	}
	return os.WriteFile(file, content, 0o600)
}
