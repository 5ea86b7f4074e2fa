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

// holders finds who uses each slot. A running sandbox that no process ties to a slot holds all of
// them, and so do a CRI-O that does not answer and a process that cannot be read.
func (o Observer) holders(all []plan.Slot, runtime plan.Runtime) error {
	processes, err := o.Host.Processes.Using(host.SlotsDir)
	if err != nil {
		return err
	}
	everyone := unattributed(runtime, processes)
	for i := range all {
		for _, p := range processes {
			if uses(p, all[i].ID) {
				all[i].Holders = append(all[i].Holders, fmt.Sprintf("process %d (%s)", p.PID, path.Base(p.Args[0])))
			}
		}
		all[i].Holders = append(all[i].Holders, everyone...)
	}
	return nil
}

func uses(p host.Process, id string) bool {
	return slices.ContainsFunc(p.Paths, func(file string) bool { return strings.HasPrefix(file, host.SlotDir(id)+"/") })
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
