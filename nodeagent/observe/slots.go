// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func (o Observer) slots(runtime plan.Runtime) (plan.Slots, error) {
	s, err := o.Linked()
	if err != nil || len(s.All) == 0 {
		return s, err
	}
	return s, o.holders(&s, runtime)
}

// Linked returns the links and the slots without their holders. It asks neither the store nor
// CRI-O, and so it is quick enough for the moment before CRI-O starts.
func (o Observer) Linked() (plan.Slots, error) {
	s, err := o.links()
	if err != nil {
		return s, err
	}
	names, err := o.Host.Files.List(host.SlotsDir)
	if err != nil {
		return s, err
	}
	mounted, err := o.Host.Mounts.Below(host.SlotsDir, 0)
	if err != nil {
		return s, err
	}
	if s.Findings, err = record.LoadAllFindings(o.Host.Files); err != nil {
		return s, err
	}
	for _, id := range names {
		if id != host.Pending && !strings.HasPrefix(id, ".") {
			slot, err := o.slot(id, mounted)
			if err != nil {
				return s, err
			}
			s.All = append(s.All, slot)
		}
	}
	return s, nil
}

// slot reads a slot's directory. What was found out about a mount ends with it.
func (o Observer) slot(id string, mounted []string) (plan.Slot, error) {
	origin, err := record.LoadOrigin(o.Host.Files, id)
	slot := plan.Slot{ID: id, Origin: origin, Mounted: slices.Contains(mounted, host.PayloadDir(id))}
	if err != nil || !slot.Mounted {
		return slot, err
	}
	if slot.Verified, err = record.LoadVerified(o.Host.Files, id); err != nil {
		return slot, err
	}
	if slot.Guest, err = o.guest(id); err != nil {
		return slot, err
	}
	if slot.Failed, err = record.LoadFailed(o.Host.Files, id); err != nil {
		return slot, err
	}
	proved, err := record.LoadProved(o.Host.Files, id)
	slot.Proved, slot.ProvedHandlers = proved.Invocation, proved.Handlers
	slot.Configured, slot.Partial = o.configured(id), o.partial(id)
	return slot, err
}

// partial reports whether a handler lacks its shim or its configuration. Where a link leads is not
// looked at: it may be the pending slot, which is not the agent's to fill.
func (o Observer) partial(id string) bool {
	return slices.ContainsFunc(node.Handlers(), func(handler string) bool {
		dir := path.Join(host.SlotDir(id), handler)
		return !o.linked(path.Join(dir, host.Shim)) || !o.linked(path.Join(dir, host.Configuration)) && !o.exists(path.Join(dir, host.Configuration))
	})
}

func (o Observer) linked(name string) bool {
	_, err := o.Host.Files.Readlink(name)
	return err == nil
}

func (o Observer) configured(id string) bool {
	for _, handler := range []string{node.Handler, node.ProofHandler} {
		dir := path.Join(host.SlotDir(id), handler)
		if !o.linked(path.Join(dir, host.Shim)) || !o.exists(path.Join(dir, host.Configuration)) {
			return false
		}
	}
	return true
}

func (o Observer) links() (s plan.Slots, err error) {
	if s.Current, err = o.link(host.CurrentLink); err != nil {
		return s, err
	}
	s.Proof, err = o.link(host.ProofLink)
	return s, err
}

// link returns the slot that a link names, empty where it is not there or leads elsewhere.
func (o Observer) link(name string) (string, error) {
	target, err := o.Host.Files.Readlink(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if id := path.Base(target); target == host.Target(id) {
		return id, nil
	}
	return "", nil
}
