// SPDX-License-Identifier: Apache-2.0

// Package qemu makes a layer of a node's root with this host's QEMU, so that a node with KVM starts
// virtual machines without a package of its own.
package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

const (
	// Program is where a node has QEMU, as Debian does.
	Program = "/usr/bin/qemu-system-x86_64"
	// dir has QEMU itself, with its firmware, libraries and dynamic linker.
	dir = "/opt/qemu"
)

// script starts QEMU with its own libraries.
const script = "#!/bin/sh\nexec " + dir + "/loader --library-path " + dir + " " + dir + "/qemu-system-x86_64 -L " + dir + ` "$@"` + "\n"

// firmware is what a machine without devices needs.
func firmware() []string { return []string{"bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin"} }

// Copy writes the layer to a new directory.
func Copy(ctx context.Context, layer string) error {
	if err := layOut(ctx, layer); err != nil {
		return fmt.Errorf("copying QEMU: %w", err)
	}
	return nil
}

func layOut(ctx context.Context, layer string) error {
	qemu, err := exec.LookPath(filepath.Base(Program))
	if err != nil {
		return err
	}
	libraries, err := exec.CommandContext(ctx, "ldd", qemu).Output()
	if err != nil {
		return fmt.Errorf("asking for its libraries: %w", err)
	}
	files := []string{qemu}
	for _, match := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllSubmatch(libraries, -1) {
		files = append(files, string(match[1]))
	}
	for _, name := range firmware() {
		found, err := filepath.Glob("/usr/share/*/" + name)
		if err != nil || len(found) == 0 {
			return fmt.Errorf("firmware %s is not installed", name)
		}
		files = append(files, found[0])
	}
	to := filepath.Join(layer, dir)
	for _, d := range []string{to, filepath.Join(layer, filepath.Dir(Program))} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	loader := string(regexp.MustCompile(`/\S*ld-linux\S*`).Find(libraries))
	for _, args := range [][]string{append(files, to), {loader, filepath.Join(to, "loader")}} {
		if out, err := exec.CommandContext(ctx, "cp", append([]string{"-L"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return os.WriteFile(filepath.Join(layer, Program), []byte(script), 0o755) //nolint:gosec // It is a program.
}
