// SPDX-License-Identifier: Apache-2.0

// Package plan decides what the agent does next, from the facts of one observation of its host.
// It is pure: no clock, no client, no file system; any plan may be the first one after a crash.
package plan

import (
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Facts are everything a decision rests on, as observed at one moment.
type Facts struct {
	// At is when they were observed.
	At      time.Time
	Host    Host
	Intent  Intent
	Cluster Cluster
	Runtime Runtime
	Slots   Slots
	Store   Store
	// Packages are where the host's own programs come from.
	Packages packages.Facts
	// Rebooted is the last reboot that the agent asked for.
	Rebooted record.Rebooted
}

// Host is the machine.
type Host struct {
	BootID, Architecture string
	// Build identifies the agent's program.
	Build string
	// Problem is the sentence that says why this host cannot run Kata, whatever the payload; empty
	// when it can.
	Problem string
	// Check is what was found out about the host, and Modules are the kernel modules that are
	// missing and can be loaded. Whether they matter depends on the payload.
	Check   []check.Item
	Modules []string
	// Kernel and Settings are covered by a slot's id, as the payload is. SettingsProblem says which
	// of the administrators' files cannot be read; Settings is empty then.
	Kernel, Settings string
	SettingsProblem  string
	// Armed is whether CRI-O is to know the handlers before anything is wanted: the drop-in alone
	// is no installation then.
	Armed bool
	// Kernels are the releases of other kernels on disk that the next boot may bring, most likely
	// first. They are known where guests are made for kernels of the host.
	Kernels []string
	// RebootRequired says what for this host has to be rebooted, empty where it need not be. The
	// same words after a reboot mean that it was in vain.
	RebootRequired string
}

// Intent is what is wanted of this node.
type Intent struct {
	// Wanted is the last valid intent: the Node's, else the one on disk. Nil while there never was
	// one.
	Wanted *node.Intent
	// Kept is whether the disk has an intent of Wanted's id; Stale is whether that one names
	// another image to fetch ahead of time.
	Kept, Stale bool
	// Superseded is whether the disk has an intent of another id, which comes into force again
	// where Wanted is not shown any more.
	Superseded bool
	// Shown is whether the API server shows that intent on the Node right now; grants count only
	// then.
	Shown bool
	// Cleared is whether the API server shows a Node without any intent.
	Cleared bool
	// Problem says why the intent on the Node cannot be followed.
	Problem string
	// ID is the id of the intent on the Node, as far as it can be read.
	ID string
}

// Cluster is what the API server shows of this node apart from its intent.
type Cluster struct {
	// Alone is whether there is no cluster: the intent is a file, and no controller acts on the
	// report.
	Alone bool
	// PodsKnown is whether BoundPods and Labelled count. The pods must have been listed after the
	// label was seen: a removal relies on both.
	PodsKnown bool
	// BoundPods are the kata pods bound to this node that have not ended, as namespace/name.
	BoundPods []string
	// Labelled is whether the Node carries the ready label.
	Labelled bool
	// Unguarded is whether the admission policies are known not to be in force.
	Unguarded bool
	// Busy says what else works on this node, so that CRI-O is left alone.
	Busy string
	// Cordoned is whether the Node is unschedulable, and CordonedIn the boot in which this agent
	// made it so, empty where it did not.
	Cordoned   bool
	CordonedIn string
	// Evictable are the pods that a reboot has to evict first, and Ending those that are on their
	// way out. They count only when PodsKnown.
	Evictable, Ending []string
	// Kubelet is what the kubelet says of this node, the zero value where there is no Node.
	Kubelet record.Kubelet
}

// Store is what an installation keeps on disk.
type Store struct {
	// Exists is whether the agent's image store is on disk.
	Exists bool
	// Problem says why the store cannot be read, empty when it can; Images are those that can be
	// mounted all the same then.
	Problem string
	Images  []Image
	// Served is the payload that current served last, by the agent's own record. It is restored at
	// boot.
	Served *record.Served
	// Guests are the initrds on disk.
	Guests []Guest
	// Leftovers are files of ours that outlive an installation unless they are deleted.
	Leftovers []string
}

// Guest is the initrd of a slot, whether the slot is there or not.
type Guest struct {
	// Slot is the slot's id.
	Slot string
	// Whole is whether its making ended.
	Whole bool
}

// Image is a payload in the store.
type Image struct {
	ID       string
	Digests  []string
	Platform string
}

func (s Store) image(payload string) (Image, bool) {
	i := slices.IndexFunc(s.Images, func(i Image) bool { return slices.Contains(i.Digests, node.Digest(payload)) })
	if i < 0 {
		return Image{}, false
	}
	return s.Images[i], true
}

func (s Store) has(id string) bool {
	return slices.ContainsFunc(s.Images, func(i Image) bool { return i.ID == id })
}

// Prefetched returns the digest of what the intent wants ahead of time, empty while the store does
// not have it.
func (f Facts) Prefetched() string {
	if f.Intent.Wanted == nil || f.Intent.Wanted.Prefetch == "" {
		return ""
	}
	if _, here := f.Store.image(f.Intent.Wanted.Prefetch); !here {
		return ""
	}
	return node.Digest(f.Intent.Wanted.Prefetch)
}

// id returns the slot of a payload on this host, empty while neither the store nor a slot has the
// payload.
func (f Facts) id(payload string) string { return f.idOn(f.Host.Kernel, payload) }

// idOn returns the slot that a payload has, or would have, on a kernel.
func (f Facts) idOn(kernel, payload string) string {
	if image, here := f.Store.image(payload); here {
		return SlotID(image.Platform, kernel, f.Host.Settings)
	}
	for _, s := range f.Slots.All {
		if node.Digest(s.Payload) == node.Digest(payload) && s.Ready() && s.ID == SlotID(s.Platform, f.Host.Kernel, f.Host.Settings) {
			return SlotID(s.Platform, kernel, f.Host.Settings)
		}
	}
	return ""
}

// Unfit returns the sentence that says why this host cannot run the wanted payload, empty where it
// can, and while it is not known what the payload needs. Programs that the host lacks are no part
// of it: they may come with packages.
func (f Facts) Unfit() string {
	requires, known := f.Requires()
	if f.Host.Problem != "" || !known {
		return f.Host.Problem
	}
	return f.unfitFor(requires)
}

// Warning returns the sentence that says why this host cannot run payloads that start virtual
// machines, while none is wanted here.
func (f Facts) Warning() string {
	if f.Intent.Wanted != nil && f.Intent.Wanted.State == node.StateInstalled {
		return ""
	}
	return f.unfitFor(manifest.Requires{KVM: true})
}

func (f Facts) unfitFor(r manifest.Requires) string {
	return check.Problem(check.For(f.Host.Check, manifest.Requires{KVM: r.KVM, OldestKernel: r.OldestKernel}))
}

// Requires returns what the wanted payload needs of its host, where that is known.
func (f Facts) Requires() (requires manifest.Requires, known bool) {
	if f.Intent.Wanted == nil || f.Intent.Wanted.State != node.StateInstalled {
		return requires, false
	}
	return f.requires(f.Intent.Wanted.Payload)
}

func (f Facts) requires(payload string) (requires manifest.Requires, known bool) {
	slot, _ := f.Slots.find(f.id(payload))
	if slot.Verified == nil {
		return requires, false
	}
	v := slot.Verified
	return manifest.Requires{KVM: v.VM, QEMU: v.Needs.QEMU, Virtiofsd: v.Needs.Virtiofsd, OldestKernel: v.OldestKernel}, true
}

// Usable returns the wanted further handlers that new pods can use.
func (f Facts) Usable() []string {
	slot, serving := f.Serving()
	if f.Intent.Wanted == nil || !serving || slot.Proved != f.Runtime.Invocation {
		return nil
	}
	var usable []string
	for _, name := range f.Intent.Wanted.Handlers {
		if slices.Contains(slot.ProvedHandlers, name) {
			usable = append(usable, name)
		}
	}
	return usable
}

// installed reports whether anything of an installation is on this host, or will be after its next
// boot.
func (f Facts) installed() bool { return f.resident() || f.Packages.Ours() }

// resident leaves layered packages aside.
func (f Facts) resident() bool {
	return f.Runtime.DropIn.Exists && !f.Host.Armed || f.Slots.Current != Pending || f.Slots.Proof != Pending || len(f.Slots.All) > 0 ||
		f.Store.Exists || f.Store.Served != nil || len(f.Store.Guests) > 0 || len(f.Store.Leftovers) > 0
}

// Serving returns the slot that new pods get, if any: current leads to it, it is ready, and the
// running CRI-O is not known to start pods of our handler in another way.
func (f Facts) Serving() (Slot, bool) {
	s, here := f.Slots.find(f.Slots.Current)
	return s, here && s.Ready() && !f.Runtime.lacksHandlers() && len(f.Runtime.Conflicts) == 0
}
