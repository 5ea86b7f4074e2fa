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

// hierarchy is one of the trees of cgroups: that of cgroup v2, that of systemd, or one of the
// controllers of cgroup v1, whichever are there.
type hierarchy struct {
	mount string
	// parent is where the machines of this process have their cgroups. Machines that share a cgroup
	// fight over the same directories below it.
	parent string
}

// hierarchies returns where this process has its cgroups. Machines are next to it in the trees of
// systemd and of cgroup v2, where a cgroup has either processes or others below it, and below it in
// those that count and limit what is used.
func hierarchies() ([]hierarchy, error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.FSType != "cgroup2" && m.FSType != "cgroup", false
	})
	if err != nil {
		return nil, fmt.Errorf("looking for cgroup hierarchies: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("looking for cgroup hierarchies: %w", err)
	}
	var found []hierarchy
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		controllers, path := fields[1], fields[2]
		at := slices.IndexFunc(mounts, func(m *mountinfo.Info) bool { return isHierarchy(m, controllers) })
		if at < 0 {
			continue
		}
		h := hierarchy{mount: mounts[at].Mountpoint, parent: mounts[at].Mountpoint}
		if controllers != "" && controllers != "name=systemd" {
			h.parent = filepath.Join(h.mount, strings.TrimPrefix(path, mounts[at].Root))
		}
		found = append(found, h)
	}
	if len(found) == 0 {
		return nil, errors.New("looking for cgroup hierarchies: neither cgroup v2 nor v1 is mounted")
	}
	return found, nil
}

// isHierarchy is true for the mount of a hierarchy that /proc/self/cgroup names by its controllers,
// that of cgroup v2 by none.
func isHierarchy(mount *mountinfo.Info, controllers string) bool {
	if controllers == "" {
		return mount.FSType == "cgroup2"
	}
	options := strings.Split(mount.VFSOptions, ",")
	for controller := range strings.SplitSeq(controllers, ",") {
		if !slices.Contains(options, controller) {
			return false
		}
	}
	return mount.FSType == "cgroup"
}

// makeCgroups makes the cgroup of one machine in every hierarchy and returns their directories.
func makeCgroups(name string) ([]string, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, h := range all {
		dir := filepath.Join(h.parent, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making cgroup: %w", err)
		}
		if err := openCPUs(h.parent, dir); err != nil {
			return nil, fmt.Errorf("making cgroup: %w", err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// prefer gives a cgroup eight times the processor time of any other, where they compete for it.
func prefer(dirs []string) error {
	for _, dir := range dirs {
		for file, share := range map[string]string{"cpu.shares": "8192", "cpu.weight": "800"} {
			path := filepath.Join(dir, file)
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				continue // Another hierarchy, or another version of cgroups.
			}
			if err := os.WriteFile(path, []byte(share), 0o600); err != nil {
				return fmt.Errorf("giving a cgroup its share of the processors: %w", err)
			}
		}
	}
	return nil
}

// openCPUs lets a cgroup and those below it use what its parent may. In cgroup v1 it would have no
// processor, and nothing could enter it.
func openCPUs(parent, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "cgroup.clone_children")); err != nil {
		return nil //nolint:nilerr // A tree of cgroup v2.
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		content, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // Not the tree of cpuset.
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.clone_children"), []byte("1"), 0o600)
}

// removeCgroups kills what still runs in the machine's cgroups and removes them.
func removeCgroups(ctx context.Context, name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var dirs []string
	for _, h := range all {
		dirs = append(dirs, filepath.Join(h.parent, name))
	}
	return removeTrees(ctx, dirs)
}

// removeLimit bounds the wait for killed processes. Each ends only when it has had a processor, and
// a node that is killed has a hundred of them, on a machine that is busy with other nodes.
const removeLimit = 2 * time.Minute

func removeTrees(ctx context.Context, dirs []string) error {
	for _, dir := range dirs {
		err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, removeLimit, true, func(context.Context) (bool, error) {
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
