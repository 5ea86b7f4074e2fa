// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const attributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID

// stackLimit is the kernel's own, OVL_MAX_STACK in fs/overlayfs.
const stackLimit = 500

// MostLayers returns how many layers this kernel can mount at once, when the name of each has so
// many bytes.
func (k Kernel) MostLayers(name int) int {
	return mostLayers(oneByOne(), os.Getpagesize(), k.context, name)
}

// mostLayers is limited by the option string, where there is only that: the kernel takes a page of
// it with the zero at its end, and cuts the rest without an error.
func mostLayers(oneByOne bool, page int, context string, name int) int {
	if oneByOne {
		return stackLimit
	}
	room := page - 1 - len(options(nil, context))
	return max(0, min(stackLimit, (room+1)/(name+1)))
}

// oneByOne tells whether the kernel takes layers one by one. Such a kernel looks up each name when
// it is given; an older one does not know the option, or keeps its value unread.
func oneByOne() bool {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer closing(fs)
	return errors.Is(unix.FsconfigSetString(fs, "lowerdir+", "/proc/self/no-such-layer"), unix.ENOENT)
}

// mountOverlay prefers the mount API in which each layer is one call; older kernels know one option
// string only, limited to a page.
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
	text := options(layers, context)
	if page := os.Getpagesize(); len(text) >= page {
		return fmt.Errorf("their names make %d bytes of mount options, and this kernel takes %d: %w", len(text), page-1, unix.E2BIG)
	}
	err := unix.Mount("overlay", target, "overlay", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, text)
	if errors.Is(err, unix.EINVAL) && context != "" {
		return fmt.Errorf("with the SELinux context %s, which the loaded policy has to know: %w", context, err)
	}
	return err
}

func options(layers []string, context string) string {
	text := "lowerdir=" + strings.Join(layers, ":")
	if context != "" {
		text += `,context="` + context + `"`
	}
	return text
}

// closing drops a descriptor whose work is done; the kernel keeps what was attached.
func closing(fd int) { _ = unix.Close(fd) } //nolint:errcheck // nothing was written through it
