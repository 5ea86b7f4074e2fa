// SPDX-License-Identifier: Apache-2.0

// Package mounts makes the agent's own read-only overlay of a payload's layers, at a path and with
// flags that a store's own mounts do not offer. It only ever unmounts plainly: a mount in use
// stays.
package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Kernel mounts through the running kernel.
type Kernel struct {
	root string
	// context is the SELinux label of everything in a mount, empty where SELinux is off.
	context string
}

// Below returns mounts below a root, labelled with an SELinux context unless that is empty.
func Below(root, context string) Kernel { return Kernel{root: root, context: context} }

// Overlay mounts layers read-only, without devices and setuid, on a target that it makes.
func (k Kernel) Overlay(layers []string, target string) error {
	target = filepath.Join(k.root, target)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("making mount point: %w", err)
	}
	// An overlay without an upper directory wants two layers at least; the mount point itself is an
	// empty one.
	if len(layers) == 1 {
		layers = []string{layers[0], target}
	}
	if err := mountOverlay(layers, target, k.context); err != nil {
		return fmt.Errorf("mounting %d layers at %s: %w", len(layers), target, err)
	}
	return nil
}

// Unmount takes the mount at target away, without force and without detaching.
func (k Kernel) Unmount(target string) error {
	target = filepath.Join(k.root, target)
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("unmounting %s: %w", target, err)
	if errors.Is(err, unix.EBUSY) {
		return &host.Busy{Err: err}
	}
	return err
}

// Below returns the mount points at or below dir in the mount namespace of a process, as paths of
// that root.
func (k Kernel) Below(dir string, pid int) ([]string, error) {
	dir = filepath.Join(k.root, dir)
	self := "self"
	if pid != 0 {
		self = strconv.Itoa(pid)
	}
	table, err := os.Open(filepath.Join("/proc", self, "mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("reading the mounts of process %s: %w", self, err)
	}
	defer func() { _ = table.Close() }() //nolint:errcheck // opened for reading only
	infos, err := mountinfo.GetMountsFromReader(table, mountinfo.PrefixFilter(dir))
	if err != nil {
		return nil, fmt.Errorf("reading the mounts of process %s: %w", self, err)
	}
	var points []string
	for _, info := range infos {
		points = append(points, filepath.Join("/", strings.TrimPrefix(info.Mountpoint, k.root)))
	}
	return points, nil
}

// Private compares the agent's mount namespace with that of PID 1, which CRI-O's mounts come from.
func (k Kernel) Private() (bool, error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return false, fmt.Errorf("reading the agent's mount namespace: %w", err)
	}
	first, err := os.Readlink("/proc/1/ns/mnt")
	if err != nil {
		return false, fmt.Errorf("reading the mount namespace of PID 1: %w", err)
	}
	return own != first, nil
}
