// SPDX-License-Identifier: Apache-2.0

// Package proc finds the processes that use files of a payload: those that execute or map them, and those whose arguments name them, as QEMU's name its guest.
// A mount's EBUSY alone would not do: a guest that was read at start holds nothing open.
package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Table is the kernel's process table.
type Table struct{ root string }

// Below returns the process table as far as it concerns files below a root; "/" is the host itself.
func Below(root string) Table { return Table{root: root} }

const proc = "/proc"

// Using returns the processes, other than this one, that use files below dir.
func (t Table) Using(dir string) ([]host.Process, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("reading the process table: %w", err)
	}
	dir = filepath.Join(t.root, dir)
	var using []host.Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		p, err := process(pid, dir)
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("looking at process %d: %w", pid, err)
		}
		if len(p.Paths) > 0 {
			p.Paths = t.below(p.Paths)
			using = append(using, p)
		}
	}
	return using, nil
}

// gone tells that a process ended while it was looked at.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

func process(pid int, dir string) (host.Process, error) {
	args, err := arguments(pid)
	if err != nil {
		return host.Process{}, err
	}
	files, err := mapped(pid, dir)
	if err != nil {
		return host.Process{}, err
	}
	paths := append(files, named(args, dir)...)
	slices.Sort(paths)
	return host.Process{PID: pid, Args: args, Paths: slices.Compact(paths)}, nil
}

func arguments(pid int) ([]string, error) {
	line, err := os.ReadFile(file(pid, "cmdline"))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"), nil
}

// mapped reads /proc/PID/maps, which has the executable as its first mapped file.
func mapped(pid int, dir string) ([]string, error) {
	maps, err := os.ReadFile(file(pid, "maps"))
	if err != nil {
		return nil, err
	}
	var paths []string
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		if at := strings.Index(lines.Text(), " "+dir+"/"); at >= 0 {
			paths = append(paths, lines.Text()[at+1:])
		}
	}
	return paths, nil
}

func named(args []string, dir string) []string {
	var paths []string
	for _, arg := range args {
		if at := strings.Index(arg, dir+"/"); at >= 0 {
			paths = append(paths, arg[at:])
		}
	}
	return paths
}

func file(pid int, name string) string { return filepath.Join(proc, strconv.Itoa(pid), name) }

// below returns paths as the agent knows them, without the root.
func (t Table) below(paths []string) []string {
	var inside []string
	for _, path := range paths {
		inside = append(inside, filepath.Join("/", strings.TrimPrefix(path, t.root)))
	}
	return inside
}
