// SPDX-License-Identifier: Apache-2.0

// Package plan decides what the agent does next, from the facts of one look at its host.
// It is pure: no clock, no client, no file system; any plan may be the first one after a crash.
package plan

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// Facts are everything a decision rests on, as observed in one look.
type Facts struct {
	Host    Host
	Intent  Intent
	Cluster Cluster
	Runtime Runtime
	Slots   Slots
	Store   Store
}

// Host is the machine.
type Host struct {
	BootID, Architecture string
	// Problem is the sentence that says why this host cannot run Kata, empty when it can.
	Problem string
	// Kernel and Settings are covered by a slot's id, as the payload is.
	Kernel, Settings string
}

// Intent is what is wanted of this node.
type Intent struct {
	// Wanted is the last valid intent: the Node's, else the one on disk. Nil while there never was one.
	Wanted *node.Intent
	// Kept is whether Wanted is what the disk has.
	Kept bool
	// Told is whether the API server shows that intent on the Node right now; grants count only then.
	Told bool
	// Cleared is whether the API server shows a Node without any intent.
	Cleared bool
	// Problem says why the intent on the Node cannot be followed.
	Problem string
	// ID is the id of the intent on the Node, as far as it can be read.
	ID string
}

// Cluster is what the API server shows of this node beside its intent.
type Cluster struct {
	// BoundPods are the kata pods bound to this node that have not ended, as namespace/name. They count only
	// when PodsKnown.
	BoundPods []string
	PodsKnown bool
	// Labelled is whether the Node carries the ready label, as far as it was seen.
	Labelled bool
	// Busy says what else works on this node, so that CRI-O is left alone.
	Busy string
}

// Runtime is the node's container runtime, CRI-O.
type Runtime struct {
	Active     bool
	Invocation string
	// Restarted is the last use of a grant in this boot.
	Restarted record.Restarted
	// Answers is whether it answered over CRI; without that Sandboxes is unknown.
	Answers   bool
	Sandboxes []Sandbox
	DropIn    DropIn
}

// Slots are the payloads prepared on this host.
type Slots struct {
	All []Slot
	// Current and Proof are the slots that the links name; Pending when they name none.
	Current, Proof string
}

// Store is what an installation keeps on disk.
type Store struct {
	// Exists is whether the agent's image store is on disk.
	Exists bool
	Images []Image
	// Served is the payload that current served last, by the agent's own record. It is restored at boot.
	Served *record.Served
	// Leftovers are files and directories of ours that outlive an installation unless they are cleared.
	Leftovers []string
}

// Sandbox is a sandbox of one of our handlers.
type Sandbox struct {
	ID, Handler, Name string
	Ready             bool
}

// DropIn is our file in CRI-O's configuration.
type DropIn struct {
	Exists, Right      bool
	Invocation, BootID string
}

// Pending is the slot that serves nobody.
const Pending = "pending"

// Slot is a directory below the slots directory.
type Slot struct {
	ID string
	// Image is the image that it was made of, by store id; Payload is the reference by which it was asked for.
	Image, Payload, Release string
	Mounted                 bool
	// Verified and Configured hold for this boot: both are recorded on a file system that forgets.
	Verified, Configured, Proved bool
	// Holders say who uses it: processes and sandboxes, for people. Empty means that it may go.
	Holders []string
}

// Ready reports whether the slot can be served.
func (v Slot) Ready() bool { return v.Mounted && v.Verified && v.Configured }

// Image is a payload in the store.
type Image struct {
	ID       string
	Digests  []string
	Platform string
}

func (f Facts) image(payload string) (Image, bool) {
	i := slices.IndexFunc(f.Store.Images, func(i Image) bool { return slices.Contains(i.Digests, node.Digest(payload)) })
	if i < 0 {
		return Image{}, false
	}
	return f.Store.Images[i], true
}

func (f Facts) slot(id string) (Slot, bool) {
	i := slices.IndexFunc(f.Slots.All, func(v Slot) bool { return v.ID == id })
	if i < 0 {
		return Slot{ID: id}, false
	}
	return f.Slots.All[i], true
}

// Serving returns the slot that new pods get, if any.
func (f Facts) Serving() (Slot, bool) {
	if f.Slots.Current == Pending {
		return Slot{}, false
	}
	return f.slot(f.Slots.Current)
}
