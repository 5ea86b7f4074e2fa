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
// that cannot be read.
func (o Observer) holders(s *plan.Slots, runtime plan.Runtime) error {
	processes, err := o.processes()
	if err != nil {
		return err
	}
	everyone := unattributed(runtime, processes)
	for i := range s.All {
		slot := &s.All[i]
		for _, p := range processes {
			if uses(p, slot.ID) {
				slot.Holders = append(slot.Holders, fmt.Sprintf("process %d (%s)", p.PID, path.Base(p.Args[0])))
			}
		}
		slot.Holders = append(slot.Holders, everyone...)
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

func unattributed(runtime plan.Runtime, processes []host.Process) []string {
	if runtime.DropIn.Exists && !runtime.Answers {
		return []string{"CRI-O, which does not answer"}
	}
	var holders []string
	for _, p := range processes {
		if p.Unread != "" {
			holders = append(holders, fmt.Sprintf("process %d (unknown: %s)", p.PID, node.Sentence(p.Unread)))
		}
	}
	for _, s := range runtime.Sandboxes {
		tied := slices.ContainsFunc(processes, func(p host.Process) bool { return slices.Contains(p.Args, s.ID) })
		if s.Ready && !tied {
			holders = append(holders, fmt.Sprintf("kata sandbox %s (%s)", s.Name, s.ID))
		}
	}
	return holders
}
