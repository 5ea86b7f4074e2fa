// SPDX-License-Identifier: Apache-2.0

// Package proc finds the processes that use files of a payload: those that execute or map them, and
// those whose arguments name them, as QEMU's name its guest. A mount's EBUSY alone would not do: a
// guest that was read at start holds nothing open.
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
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Table is the kernel's process table. It remembers which processes use nothing: reading the maps
// of a process takes its memory lock, and a host has thousands of processes.
type Table struct {
	root string
	// read reads one process.
	read func(pid int, dir string) (host.Process, error)

	mu     sync.Mutex
	unused map[identity]int
	late   map[identity]*reading
}

// Below returns the process table as far as it concerns files below a root; "/" is the host itself.
func Below(root string) *Table {
	return &Table{root: root, read: process, unused: map[identity]int{}, late: map[identity]*reading{}}
}

const proc = "/proc"

// Using returns the processes, other than this one, that use files below dir, and those that cannot
// be read.
func (t *Table) Using(dir string) ([]host.Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(t.root, dir)
	var using []host.Process
	seen := map[identity]int{}
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		p, err := t.look(pid, dir, seen)
		switch {
		case err != nil && !gone(err):
			using = append(using, host.Process{PID: pid, Unread: err.Error()})
		case len(p.Paths) > 0:
			p.Paths = t.below(p.Paths)
			using = append(using, p)
		}
	}
	t.unused = seen
	t.forgetLate()
	return using, nil
}

// processes returns the ids of all processes.
func processes() ([]int, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("reading the process table: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// identity is a program that a process runs: another start or another execve is another one.
type identity struct {
	pid             int
	start, exe, dir string
}

// enough is how often a process must have used nothing before it is not read again: one that has
// just started may not have mapped its libraries yet. A file that it maps later makes its umount
// busy.
const enough = 2

func (t *Table) look(pid int, dir string, seen map[identity]int) (host.Process, error) {
	id, err := identify(pid, dir)
	if err != nil {
		return host.Process{}, err
	}
	if times := t.unused[id]; times >= enough {
		seen[id] = times
		return host.Process{}, nil
	}
	p, err := t.patiently(id, func() (host.Process, error) { return t.read(pid, dir) })
	switch {
	case err != nil:
	case len(p.Paths) == 0:
		seen[id] = t.unused[id] + 1
	default:
		p.Since = since(id.start)
	}
	return p, err
}

// ticks is how many of the units of a start time are a second. The kernel shows 100 to every
// program (USER_HZ), on all architectures that the agent is built for.
const ticks = 100

// since returns when a process has started, by its ticks since the start of the kernel: see
// proc_pid_stat(5). The time is the zero one where that is not known.
func since(start string) time.Time {
	count, err := strconv.ParseInt(start, 10, 64)
	var up unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(count)*time.Second/ticks - time.Duration(up.Nano()))
}

// startField is the place of the start time in /proc/PID/stat, counted from the state, which
// follows the last parenthesis: see proc_pid_stat(5).
const startField = 19

func identify(pid int, dir string) (identity, error) {
	stat, err := os.ReadFile(file(pid, "stat"))
	if err != nil {
		return identity{}, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= startField {
		return identity{}, fmt.Errorf("%s has %d fields", file(pid, "stat"), len(fields))
	}
	// A kernel thread has no executable, and the end of a process takes it away first.
	exe, err := os.Readlink(file(pid, "exe"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	return identity{pid: pid, start: fields[startField], exe: exe, dir: dir}, nil
}

// gone reports whether a process ended while it was read.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

func process(pid int, dir string) (host.Process, error) {
	args, err := list(pid, "cmdline")
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

// Started returns the arguments of a process, and of its environment the variables whose names
// begin with a prefix.
func (t *Table) Started(pid int, prefix string) (host.Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, err := identify(pid, "")
	if err != nil {
		return host.Process{}, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	return t.patiently(id, func() (host.Process, error) {
		args, err := list(pid, "cmdline")
		if err != nil {
			return host.Process{}, err
		}
		variables, err := list(pid, "environ")
		if err != nil {
			return host.Process{}, err
		}
		variables = slices.DeleteFunc(variables, func(v string) bool { return !strings.HasPrefix(v, prefix) })
		return host.Process{PID: pid, Args: args, Environment: variables}, nil
	})
}

// list reads a file of words that end with a zero byte.
func list(pid int, name string) ([]string, error) {
	words, err := os.ReadFile(file(pid, name))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(words), "\x00"), "\x00"), nil
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
func (t *Table) below(paths []string) []string {
	var inside []string
	for _, path := range paths {
		inside = append(inside, filepath.Join("/", strings.TrimPrefix(path, t.root)))
	}
	return inside
}
