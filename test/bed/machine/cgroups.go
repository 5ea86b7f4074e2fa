// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// hierarchies returns the cgroup mounts in which systemd keeps its units: name=systemd and cgroup
// v2, whichever are there. Machines that share a cgroup in one of them fight over the same
// directories.
func hierarchies() ([]string, error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		systemd := m.FSType == "cgroup" && slices.Contains(strings.Split(m.VFSOptions, ","), "name=systemd")
		return m.FSType != "cgroup2" && !systemd, false
	})
	if err != nil {
		return nil, fmt.Errorf("looking for cgroup hierarchies: %w", err)
	}
	var paths []string
	for _, mount := range mounts {
		if !slices.Contains(paths, mount.Mountpoint) {
			paths = append(paths, mount.Mountpoint)
		}
	}
	if len(paths) == 0 {
		return nil, errors.New("looking for cgroup hierarchies: neither cgroup v2 nor name=systemd is mounted")
	}
	return paths, nil
}

// makeCgroups makes the cgroup of one machine in every hierarchy and returns their directories.
func makeCgroups(name string) ([]string, error) {
	parents, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, parent := range parents {
		dir := filepath.Join(parent, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making cgroup: %w", err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// removeCgroups kills what still runs in the cgroups of that name and removes them.
func removeCgroups(ctx context.Context, name string) error {
	parents, err := hierarchies()
	if err != nil {
		return err
	}
	for _, parent := range parents {
		dir := filepath.Join(parent, name)
		err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			killCgroup(dir)
			return removeTree(dir) == nil, nil
		})
		if err != nil {
			return fmt.Errorf("removing cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// killCgroup kills every process in a cgroup and those below it; the caller repeats it until
// removeTree agrees.
func killCgroup(dir string) {
	//nolint:errcheck // Processes and cgroups may be gone by the time they are looked at.
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return nil //nolint:nilerr // A cgroup may go away at any moment.
		}
		content, _ := os.ReadFile(path) //nolint:errcheck // As above.
		for field := range strings.FieldsSeq(string(content)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // As above.
			}
		}
		return nil
	})
}

// removeTree removes a cgroup and those below it, deepest first; cgroup files need not and cannot
// be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(dir)
}
