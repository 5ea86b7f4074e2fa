// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

const mebibyte = 1 << 20

// kernel is the version in the names of the kernels, as in Kata 4.1.
const kernel = "6.18.35-202"

// files returns what is in the archive, by path below opt/kata.
func (r Release) files(program string) (map[string]File, error) {
	elf, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	initrd, err := initrd(elf, r.size(20))
	if err != nil {
		return nil, fmt.Errorf("making initrd: %w", err)
	}
	files := r.common(elf, initrd)
	if r.Go {
		maps.Copy(files, r.goShim(elf))
	}
	if r.RuntimeRS {
		maps.Copy(files, r.runtimeRS(elf))
	}
	for name, f := range files {
		if f.Size < int64(len(f.Content)) {
			f.Size = int64(len(f.Content))
		}
		if f.Mode == 0 {
			f.Mode = 0o644
		}
		files[name] = f
	}
	if r.Change != nil {
		r.Change(files)
	}
	return files, nil
}

// common has what upstream puts into both archives. Sizes are those that were published of Kata
// 4.1, or estimates of the same order.
func (r Release) common(elf, initrd []byte) map[string]File {
	const share, qemu = "share/kata-containers/", "share/kata-qemu/qemu/"
	files := map[string]File{
		"VERSION":       {Content: []byte(r.Kata + "\n")},
		"versions.yaml": {Content: []byte(versions)},

		"bin/qemu-system-" + machine(r.Architecture): r.program(elf, 45),
		"bin/cloud-hypervisor":                       r.program(elf, 5),
		"libexec/virtiofsd":                          r.program(elf, 7),
		"libexec/nydusd":                             r.program(elf, 40),

		share + "vmlinuz-" + kernel:                  r.data(9),
		share + "vmlinuz.container":                  {Link: "vmlinuz-" + kernel},
		share + "vmlinux-" + kernel:                  r.data(43),
		share + "vmlinux.container":                  {Link: "vmlinux-" + kernel},
		share + "config-" + kernel:                   {Content: []byte("CONFIG_VIRTIO_FS=y\n")},
		share + "kata-alpine-3.22.initrd":            {Content: initrd},
		share + "kata-containers-initrd.img":         {Link: "kata-alpine-3.22.initrd"},
		share + "kata-ubuntu-noble.image":            r.data(256),
		share + "kata-containers.img":                {Link: "kata-ubuntu-noble.image"},
		share + "kata-ubuntu-noble-nvidia-gpu.image": r.data(512),

		qemu + "bios-256k.bin":        r.data(0.25),
		qemu + "linuxboot_dma.bin":    {Content: []byte("rom")},
		qemu + "efi-virtio.rom":       r.data(0.15),
		qemu + "edk2-x86_64-code.fd":  r.data(3.5),
		qemu + "edk2-aarch64-code.fd": r.data(64),
		"share/ovmf/OVMF.fd":          r.data(4),

		"share/defaults/kata-containers/configuration.toml": {Link: "configuration-qemu.toml"},
	}
	return files
}

func (r Release) goShim(elf []byte) map[string]File {
	return map[string]File{
		"bin/containerd-shim-kata-v2":    r.program(elf, 32),
		"bin/kata-runtime":               r.program(elf, 30),
		"bin/kata-monitor":               r.program(elf, 25),
		"bin/kata-collect-data.sh":       {Content: []byte("#!/bin/sh\n"), Mode: 0o755},
		"bin/firecracker":                r.program(elf, 3),
		configurations + "qemu.toml":     {Content: []byte(goConfiguration(r.Architecture))},
		"share/bash-completion/kata":     {Content: []byte("complete\n")},
		configurations + "qemu-tdx.toml": {Content: []byte(goConfiguration(r.Architecture))},
	}
}

func (r Release) runtimeRS(elf []byte) map[string]File {
	return map[string]File{
		"runtime-rs/bin/containerd-shim-kata-v2":                                       r.program(elf, 40),
		"share/defaults/kata-containers/runtime-rs/configuration-qemu-runtime-rs.toml": {Content: []byte(rustConfiguration(r.Architecture))},
		"share/defaults/kata-containers/runtime-rs/configuration.toml":                 {Link: "configuration-qemu-runtime-rs.toml"},
	}
}

const configurations = "share/defaults/kata-containers/configuration-"

func (r Release) size(mebibytes float64) int64 { return int64(mebibytes * r.Scale * mebibyte) }

func (r Release) program(elf []byte, mebibytes float64) File {
	return File{Content: elf, Size: r.size(mebibytes), Mode: 0o755}
}

func (r Release) data(mebibytes float64) File {
	return File{Size: max(r.size(mebibytes), 512)}
}

// content returns the file's bytes: the same for the same name and revision, and others for others.
func (f File) content(name string, revision int) io.Reader {
	padding := &noise{left: f.Size - int64(len(f.Content))}
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s %d", path.Base(name), revision)
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], hash.Sum64())
	padding.random = rand.NewChaCha8(seed)
	return io.MultiReader(bytes.NewReader(f.Content), padding)
}

// noise is random for a third of each block and zero for the rest.
type noise struct {
	random *rand.ChaCha8
	left   int64
	at     int
}

const block = 3072

func (n *noise) Read(p []byte) (int, error) {
	if n.left <= 0 {
		return 0, io.EOF
	}
	var count int
	if n.at < block/3 {
		count = min(len(p), block/3-n.at, int(n.left))
		_, _ = n.random.Read(p[:count]) //nolint:errcheck // It never fails.
	} else {
		count = min(len(p), block-n.at, int(n.left))
		clear(p[:count])
	}
	n.at, n.left = (n.at+count)%block, n.left-int64(count)
	return count, nil
}

func sorted(files map[string]File) []string { return slices.Sorted(maps.Keys(files)) }

func goBuild(ctx context.Context, root, out, architecture string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./bed/upstream/program")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building program for %s: %w: %s", architecture, err, strings.TrimSpace(string(text)))
	}
	return nil
}
