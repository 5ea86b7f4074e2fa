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
	for _, id := range names {
		if id != host.Pending && !strings.HasPrefix(id, ".") {
			s.All = append(s.All, o.slot(id, mounted))
		}
	}
	if len(s.All) == 0 {
		return s, nil
	}
	return s, o.holders(s.All, runtime)
}

func (o Observer) slot(id string, mounted []string) plan.Slot {
	// A slot without its record was never mounted: it has no image and goes.
	origin, _ := record.LoadOrigin(o.Host.Files, id) //nolint:errcheck // see above
	return plan.Slot{
		ID: id, Image: origin.Image, Payload: origin.Payload, Release: origin.Release,
		Mounted:    slices.Contains(mounted, host.PayloadDir(id)),
		Verified:   record.Marked(o.Host.Files, id, record.VerifiedMark),
		Configured: o.configured(id),
		Proved:     record.Marked(o.Host.Files, id, record.ProvedMark),
	}
}

func (o Observer) configured(id string) bool {
	for _, handler := range []string{node.Handler, node.ProofHandler} {
		dir := path.Join(host.SlotDir(id), handler)
		if _, err := o.Host.Files.Readlink(path.Join(dir, host.Shim)); err != nil || !o.exists(path.Join(dir, host.Configuration)) {
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

// link returns the slot that a link names.
func (o Observer) link(name string) (string, error) {
	target, err := o.Host.Files.Readlink(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if target == "" {
		return plan.Pending, nil
	}
	return path.Base(target), nil
}
