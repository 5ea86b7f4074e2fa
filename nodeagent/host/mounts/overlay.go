// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const attributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID

// mountOverlay prefers the mount API in which each layer is one call; kernels before 6.5 know one
// option string only, limited to a page.
func mountOverlay(layers []string, target, context string) error {
	err := mountByCalls(layers, target, context)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return mountByString(layers, target, context)
	}
	return err
}

func mountByCalls(layers []string, target, context string) error {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer closing(fs)
	for _, layer := range layers {
		if err := unix.FsconfigSetString(fs, "lowerdir+", layer); err != nil {
			return fmt.Errorf("adding layer %s: %w", layer, err)
		}
	}
	if context != "" {
		if err := unix.FsconfigSetString(fs, "context", context); err != nil {
			return fmt.Errorf("setting SELinux context %s: %w", context, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("creating overlay: %w", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return fmt.Errorf("fsmount: %w", err)
	}
	defer closing(mount)
	return unix.MoveMount(mount, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func mountByString(layers []string, target, context string) error {
	options := "lowerdir=" + strings.Join(layers, ":")
	if context != "" {
		options += `,context="` + context + `"`
	}
	return unix.Mount("overlay", target, "overlay", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, options)
}

// closing drops a descriptor whose work is done; the kernel keeps what was attached.
func closing(fd int) { _ = unix.Close(fd) } //nolint:errcheck // nothing was written through it
