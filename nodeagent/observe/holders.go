// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// holders finds who uses each slot, and which sandboxes use several. A running sandbox that no
// process ties to a slot holds all of them, and so do a CRI-O that does not answer and a process
// that cannot be read. Strays are processes that end with no sandbox of CRI-O: a shim that CRI-O
// has forgotten, or a program of a person.
func (o Observer) holders(s *plan.Slots, runtime plan.Runtime) error {
	processes, err := o.processes()
	if err != nil {
		return err
	}
	lone, unread := shimless(runtime, processes), unread(processes)
	everyone := may(runtime, lone)
	if len(unread) == 0 {
		s.Shimless = lone
	}
	for i := range s.All {
		slot := &s.All[i]
		for _, p := range processes {
			if !uses(p, slot.ID) {
				continue
			}
			holder := name(p, runtime)
			if slot.Holders = append(slot.Holders, holder); stray(p, runtime) {
				slot.Strays = append(slot.Strays, holder)
			}
		}
		slot.Holders, slot.Strays = slices.Concat(slot.Holders, unread, everyone), append(slot.Strays, unread...)
		slot.Sandboxes = using(slot.ID, runtime, lone, processes)
	}
	s.Mixed = mixed(s.All, runtime.Sandboxes, processes)
	return nil
}

// processes are those that use a slot. Where guests are made on this host, a VM may use nothing of
// the slot but its guest, which lies elsewhere.
func (o Observer) processes() ([]host.Process, error) {
	processes, err := o.Host.Processes.Using(host.SlotsDir)
	if err != nil {
		return nil, err
	}
	if made, err := o.Host.Files.List(host.GuestsDir); err != nil || len(made) == 0 {
		return processes, err
	}
	guests, err := o.Host.Processes.Using(host.GuestsDir)
	for _, g := range guests {
		i := slices.IndexFunc(processes, func(p host.Process) bool { return p.PID == g.PID })
		if i < 0 {
			processes = append(processes, g)
			continue
		}
		processes[i].Paths = append(processes[i].Paths, g.Paths...)
	}
	return processes, err
}

func uses(p host.Process, id string) bool {
	return slices.ContainsFunc(p.Paths, func(file string) bool {
		return strings.HasPrefix(file, host.SlotDir(id)+"/") || strings.HasPrefix(file, host.GuestDir(id)+"/")
	})
}

// mixed finds running sandboxes whose processes use several slots: a shim that started before a
// switch and read its configuration after it.
func mixed(all []plan.Slot, sandboxes []plan.Sandbox, processes []host.Process) []plan.Mixed {
	var found []plan.Mixed
	for _, sandbox := range sandboxes {
		m := plan.Mixed{Sandbox: fmt.Sprintf("%s (%s)", sandbox.Name, sandbox.ID)}
		for _, slot := range all {
			if sandbox.Ready && slices.ContainsFunc(processes, func(p host.Process) bool { return belongs(p, sandbox.ID) && uses(p, slot.ID) }) {
				m.Slots = append(m.Slots, slot.ID)
			}
		}
		if len(m.Slots) > 1 {
			found = append(found, m)
		}
	}
	return found
}

// belongs reports whether a process runs as long as a sandbox, which QEMU and virtiofsd name within
// an argument. A shim that starts or ends something is another program that ends at once.
func belongs(p host.Process, sandbox string) bool {
	action := len(p.Args) > 0 && slices.Contains([]string{"start", "delete"}, p.Args[len(p.Args)-1])
	return !action && slices.ContainsFunc(p.Args, func(argument string) bool { return strings.Contains(argument, sandbox) })
}

// name is how sentences name a process. Of a stray it says since when it has run: nothing else
// says how long it has been one.
func name(p host.Process, runtime plan.Runtime) string {
	about := path.Base(p.Args[0])
	if stray(p, runtime) {
		if !p.Since.IsZero() {
			about += ", since " + p.Since.UTC().Format("2006-01-02 15:04 UTC")
		}
		about += ", of no sandbox that CRI-O lists"
	}
	return fmt.Sprintf("process %d (%s)", p.PID, about)
}

// stray reports whether a process belongs to no sandbox of our handlers, as far as CRI-O lists
// them.
func stray(p host.Process, runtime plan.Runtime) bool {
	return runtime.Answers && !slices.ContainsFunc(runtime.Sandboxes, func(s plan.Sandbox) bool {
		return slices.ContainsFunc(p.Args, func(argument string) bool { return strings.Contains(argument, s.ID) })
	})
}

// unread are processes that cannot be read, by what keeps the agent from it.
func unread(processes []host.Process) (holders []string) {
	for _, p := range processes {
		if p.Unread != "" {
			holders = append(holders, fmt.Sprintf("process %d (unknown: %s)", p.PID, node.Sentence(p.Unread)))
		}
	}
	return holders
}

// shimless are the ids of running sandboxes of which no shim was found. Of a shim one argument is
// the id; QEMU and virtiofsd have it within an argument, and may outlive their shim.
func shimless(runtime plan.Runtime, processes []host.Process) (ids []string) {
	for _, s := range runtime.Sandboxes {
		if s.Ready && !slices.ContainsFunc(processes, func(p host.Process) bool { return slices.Contains(p.Args, s.ID) }) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// may are those who may use any slot: sandboxes that no shim ties to one, and all sandboxes of a
// CRI-O that does not answer.
func may(runtime plan.Runtime, lone []string) (holders []string) {
	if runtime.DropIn.Exists && !runtime.Answers {
		return []string{"CRI-O, which does not answer"}
	}
	for _, s := range runtime.Sandboxes {
		if slices.Contains(lone, s.ID) {
			holders = append(holders, fmt.Sprintf("kata sandbox %s (%s)", s.Name, s.ID))
		}
	}
	return holders
}

// using returns the names of running sandboxes that use a slot, or may.
func using(id string, runtime plan.Runtime, lone []string, processes []host.Process) (names []string) {
	for _, s := range runtime.Sandboxes {
		ties := func(p host.Process) bool { return belongs(p, s.ID) && uses(p, id) }
		if s.Ready && (slices.Contains(lone, s.ID) || slices.ContainsFunc(processes, ties)) {
			names = append(names, s.Name)
		}
	}
	return names
}
