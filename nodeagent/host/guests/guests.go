// SPDX-License-Identifier: Apache-2.0

// Package guests makes the initrds of guests: the payload's base initrd, and behind it an archive
// with modules of a kernel of this host, in the format that the kernel unpacks. It starts no
// program.
package guests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// modulesDir holds one directory for each kernel, and so does each deployment of an ostree system.
const (
	modulesDir  = "/usr/lib/modules"
	deployments = "/ostree/deploy/*/deploy/*" + modulesDir
)

// depFile is in the directory of each kernel that has modules.
const depFile = "modules.dep"

// Builder makes initrds.
type Builder struct {
	// Path returns where a path of the host lies for this process.
	Path func(path string) string
	// Stream replaces a file with what a function writes, and returns once it is on disk.
	Stream func(path string, content func(io.Writer) error, mode fs.FileMode) error
	// Label is the SELinux label of what it makes, empty where SELinux is off.
	Label string
}

// directory is a kernel's modules, as a path of this process.
type directory struct {
	path      string
	installed time.Time
}

// directories returns the modules of all kernels on disk. Those of the running system come first,
// and the first directory of a release counts.
func (b Builder) directories() (map[string]directory, error) {
	others, err := filepath.Glob(b.Path(deployments))
	if err != nil {
		return nil, err
	}
	found := map[string]directory{}
	for _, tree := range append([]string{b.Path(modulesDir)}, others...) {
		kernels, err := os.ReadDir(tree)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return nil, err
		}
		for _, k := range kernels {
			dir := filepath.Join(tree, k.Name())
			info, err := os.Stat(filepath.Join(dir, depFile))
			if _, known := found[k.Name()]; known || err != nil || !info.Mode().IsRegular() {
				continue
			}
			// A deployment's files have no time of their own, its directories do.
			if info, err = os.Stat(dir); err == nil {
				found[k.Name()] = directory{dir, info.ModTime()}
			}
		}
	}
	return found, nil
}

// Kernels returns the releases of the kernels on disk.
func (b Builder) Kernels() ([]string, error) {
	found, err := b.directories()
	if err != nil {
		return nil, fmt.Errorf("listing kernels: %w", err)
	}
	var releases []string
	for release := range found {
		releases = append(releases, release)
	}
	slices.SortFunc(releases, func(x, y string) int {
		return cmp.Or(found[y].installed.Compare(found[x].installed), cmp.Compare(x, y))
	})
	return releases, nil
}

// Image returns the path of a kernel's image: next to its modules, where Fedora and its relatives
// have it, or in /boot.
func (b Builder) Image(kernel string) (string, error) {
	candidates := []string{path.Join(modulesDir, kernel, "vmlinuz"), "/boot/vmlinuz-" + kernel}
	for _, image := range candidates {
		if info, err := os.Stat(b.Path(image)); err == nil && info.Mode().IsRegular() {
			return image, nil
		}
	}
	return "", fmt.Errorf("the image of kernel %s is neither %s nor %s: install the running kernel's package again, or reboot into one that is installed",
		kernel, candidates[0], candidates[1])
}

// Build makes a slot's initrd unless it is there, whole, and made of the same.
func (b Builder) Build(ctx context.Context, order host.GuestOrder) error {
	if err := b.build(ctx, order); err != nil {
		return fmt.Errorf("building the guest for kernel %s: %w", order.Kernel, err)
	}
	return nil
}

func (b Builder) build(ctx context.Context, order host.GuestOrder) error {
	found, err := b.directories()
	if err != nil {
		return err
	}
	dir, here := found[order.Kernel]
	if !here {
		return fmt.Errorf("%s does not have its modules: install the running kernel's package again, or reboot into one that is installed",
			path.Join(modulesDir, order.Kernel))
	}
	modules, err := os.OpenRoot(dir.path)
	if err != nil {
		return err
	}
	defer modules.Close()
	s, err := choose(ctx, modules, order)
	if err != nil {
		return err
	}
	recipe, err := s.recipe(order)
	if err != nil {
		return err
	}
	if !b.whole(ctx, order.Slot, recipe) {
		if err := b.write(ctx, order, s, recipe); err != nil {
			return err
		}
	}
	return b.label(order.Slot)
}
