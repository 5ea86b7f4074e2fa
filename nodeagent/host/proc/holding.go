// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

const (
	// holdingLimit ends a search on a host with very many processes or open files.
	holdingLimit = 3 * time.Second
	// batch is how many open files are read at a time: a process may have a million.
	batch = 1024
)

// Holding returns up to so many of the processes, this one included, that keep a mount at dir busy.
// Their links in the process table are read first, because maps take the memory lock of a process.
// A process that cannot be read is passed over.
func (t *Table) Holding(dir string, most int) ([]host.Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(t.root, dir)
	search := search{most: most, until: time.Now().Add(holdingLimit)}
	search.among(pids, func(pid int) bool { return opens(pid, dir, search.until) })
	if len(search.found) == 0 {
		search.among(pids, func(pid int) bool { return t.maps(pid, dir) })
	}
	return search.found, nil
}

// search collects processes until there are enough or the time is over.
type search struct {
	most  int
	until time.Time
	found []host.Process
}

func (s *search) among(pids []int, holds func(pid int) bool) {
	for _, pid := range pids {
		if len(s.found) == s.most || time.Now().After(s.until) {
			return
		}
		if !holds(pid) {
			continue
		}
		// One that has ended holds nothing.
		if name, err := os.ReadFile(file(pid, "comm")); err == nil {
			s.found = append(s.found, host.Process{PID: pid, Name: strings.TrimSuffix(string(name), "\n")})
		}
	}
}

// opens reports whether a directory or an open file of a process is at or below dir.
func opens(pid int, dir string, until time.Time) bool {
	links := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			target, err := os.Readlink(file(pid, name))
			return err == nil && within(target, dir)
		})
	}
	if links("cwd", "root", "exe") {
		return true
	}
	files, err := os.Open(file(pid, "fd"))
	if err != nil {
		return false
	}
	defer func() { _ = files.Close() }() //nolint:errcheck // opened for reading only
	for time.Now().Before(until) {
		names, err := files.Readdirnames(batch)
		for i := range names {
			names[i] = filepath.Join("fd", names[i])
		}
		if links(names...) {
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}

// within also finds a path of another mount namespace, such as that of a container that has the
// host's files below a directory.
func within(path, dir string) bool { return strings.Contains(path+"/", dir+"/") }

// maps reports whether a process maps a file below dir.
func (t *Table) maps(pid int, dir string) bool {
	id, err := identify(pid, dir)
	if err != nil {
		return false
	}
	p, err := t.patiently(id, func() (host.Process, error) {
		paths, err := mapped(pid, dir)
		return host.Process{Paths: paths}, err
	})
	return err == nil && len(p.Paths) > 0
}
