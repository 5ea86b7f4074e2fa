// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// probeNames match the directories in which the library tries what overlay mounts can do, see
// drivers/overlay/check.go of go.podman.io/storage. Layers have names of hexadecimal digits.
func probeNames() []string {
	return []string{"opaque-bug-check*", "metacopy-check*", "volatile-check*", "compat*"}
}

// endProbes undoes what the library's probes left below the store when an agent was killed among
// them. Each has an overlay mounted for a moment. One that stays keeps the store from being
// deleted, and looks like a slot in use.
func (s *Store) endProbes() error {
	home, err := filepath.EvalSymlinks(filepath.Join(s.graph, "overlay"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for interrupted probes: %w", err)
	}
	var probes []string
	for _, name := range probeNames() {
		found, err := filepath.Glob(filepath.Join(home, name))
		if err != nil {
			return fmt.Errorf("looking for interrupted probes: %w", err)
		}
		probes = append(probes, found...)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("overlay"))
	if err != nil {
		return fmt.Errorf("reading the mount table: %w", err)
	}
	for _, m := range mounts {
		if slices.Contains(probes, filepath.Dir(m.Mountpoint)) {
			if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmounting interrupted probe %s: %w", m.Mountpoint, err)
			}
		}
	}
	for _, probe := range probes {
		if err := os.RemoveAll(probe); err != nil {
			return fmt.Errorf("removing interrupted probe: %w", err)
		}
	}
	return nil
}
