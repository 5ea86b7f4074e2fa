// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Disk is what a machine's root is made of.
type Disk struct {
	// Layers are directory trees of the host, the topmost first, the base last. Nothing may write
	// to them while the machine exists.
	Layers []string
	// Real are directories of the machine that have to be on a real file system, because overlays
	// will be mounted from them.
	Real []string
	// Kernel is a tree with the kernel of a virtual machine, see [Release.KernelBase]. Where it is
	// empty the base has one.
	Kernel string
	// Shared are directories of the host by the path at which the machine has them, read-only; a
	// virtual machine has copies.
	Shared map[string]string
}

// mountRoot puts the root together below dir and mounts it there.
func mountRoot(dir string, disk Disk) error {
	root, upper, work := filepath.Join(dir, "root"), filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, path := range []string{root, upper, work} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	lower := strings.Join(disk.Layers, ":")
	if strings.ContainsAny(dir+lower, `,\`) || strings.Contains(dir, ":") {
		return fmt.Errorf("mounting root: a path in %q has a character that overlay options reserve; use a directory without comma, colon and backslash", dir+":"+lower)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mounting root with %s: %w", options, err)
	}
	for i, path := range disk.Real {
		if err := bindReal(filepath.Join(dir, fmt.Sprintf("real-%d", i)), filepath.Join(root, path)); err != nil {
			return err
		}
	}
	for path, source := range disk.Shared {
		if err := bindShared(source, filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return nil
}

func bindReal(source, target string) error {
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	return bind(source, target)
}

func bindShared(source, target string) error {
	if err := bind(source, target); err != nil {
		return err
	}
	if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("making %s read-only: %w", target, err)
	}
	return nil
}

func bind(source, target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding %s: %w", target, err)
	}
	return nil
}

// unmountBelow takes away every mount at or below dir, the latest first.
func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("looking for mounts below %s: %w", dir, err)
	}
	var errs []error
	for i := range mounts {
		target := mounts[len(mounts)-1-i].Mountpoint
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", target, err))
		}
	}
	return errors.Join(errs...)
}
