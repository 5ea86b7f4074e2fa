// SPDX-License-Identifier: Apache-2.0

// Package cgroup moves the shim out of its starter's service into the pod's cgroup, as Kata does.
// Without it systemd would kill every shim whenever CRI-O restarts.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cgroup that is still busy after 10 s has a process in it: also on a busy machine the kernel has
// taken out by then what has ended.
const (
	interval = 20 * time.Millisecond
	maxTries = 500
)

// Roots lists the hierarchies by which systemd tracks services, found in a mountinfo file:
// the name=systemd hierarchy of cgroup v1 and the unified one.
func Roots(mountinfo string) ([]string, error) {
	file, err := os.Open(mountinfo)
	if err != nil {
		return nil, fmt.Errorf("finding cgroup hierarchies: %w", err)
	}
	defer file.Close() //nolint:errcheck // opened for reading only
	var roots []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if root, ok := root(lines.Text()); ok && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return roots, lines.Err()
}

func root(line string) (string, bool) {
	before, after, ok := strings.Cut(line, " - ")
	left, right := strings.Fields(before), strings.Fields(after)
	if !ok || len(left) < 5 || len(right) < 3 {
		return "", false
	}
	tracked := right[0] == "cgroup2" || right[0] == "cgroup" && strings.Contains(right[2], "name=systemd")
	return left[4], tracked
}

// Join moves pid into path below every root.
func Join(roots []string, path string, pid int) error {
	var errs []error
	for _, root := range roots {
		dir := filepath.Join(root, path)
		errs = append(errs, os.MkdirAll(dir, 0o755), enter(dir, pid))
	}
	return errors.Join(errs...)
}

// Leave moves pid to each root and removes the cgroup that it was in.
func Leave(roots []string, path string, pid int) error {
	var errs []error
	for _, root := range roots {
		errs = append(errs, enter(root, pid), remove(filepath.Join(root, path)))
	}
	return errors.Join(errs...)
}

// remove removes a cgroup whose last process has ended. The kernel takes a process out of its
// cgroup a moment after its parent has received its exit status. The directory is busy until then.
func remove(dir string) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	err := os.Remove(dir)
	for tries := 0; errors.Is(err, syscall.EBUSY) && tries < maxTries; tries++ {
		<-ticker.C
		err = os.Remove(dir)
	}
	return err
}

func enter(dir string, pid int) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return fmt.Errorf("moving process %d: %w", pid, err)
	}
	return nil
}
