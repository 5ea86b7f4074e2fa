// SPDX-License-Identifier: Apache-2.0

// Package plan decides what the agent does next, from the facts of one look at its host.
// It is pure: no clock, no client, no file system; any plan may be the first one after a crash.
package plan

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// Facts are everything a decision rests on, as observed in one look.
type Facts struct {
	BootID       string
	Architecture string
	// HostProblem is the sentence that says why this host cannot run Kata, empty when it can.
	HostProblem string

	// Wanted is the last valid intent: the Node's, else the one on disk. Nil while there never was one.
	Wanted *node.Intent
	// Kept is whether Wanted is what the disk has.
	Kept bool
	// Told is whether the API server shows that intent on the Node right now; grants count only then.
	Told bool
	// Cleared is whether the API server shows a Node without any intent.
	Cleared bool
	// IntentProblem says why the intent on the Node cannot be followed.
	IntentProblem string
	// IntentID is the id of the intent on the Node, as far as it can be read.
	IntentID string
	// Busy says what else works on this node, so that CRI-O is left alone.
	Busy string

	// BoundPods are the kata pods bound to this node that have not ended, as namespace/name. They count only when PodsKnown.
	BoundPods []string
	PodsKnown bool

	CRIO     CRIO
	DropIn   DropIn
	Versions []Version
	Images   []Image
	// Current and Proof are the versions that the links name; Pending when they name none.
	Current, Proof string
	// Served is the payload that current served last, by the agent's own record. It is restored at boot.
	Served *Served
	// Kernel and Settings are covered by a version's id beside the payload.
	Kernel, Settings string
	// Leftovers are files and directories of ours that outlive an installation unless they are cleared.
	Leftovers []string
	// StoreExists is whether the agent's image store is on disk.
	StoreExists bool
}

// CRIO is the node's container runtime.
type CRIO struct {
	Active     bool
	Invocation string
	// Restarted is the last use of a grant in this boot.
	Restarted Restarted
	// Answers is whether it answered over CRI; without that Sandboxes is unknown.
	Answers   bool
	Sandboxes []Sandbox
}

// Restarted is one use of a grant: for which intent, and which invocation of CRI-O was to end by it.
// While that invocation still runs, the restart has not happened.
type Restarted struct {
	Intent     string `json:"intent"`
	Invocation string `json:"invocation"`
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

// Pending is the version that serves nobody.
const Pending = "pending"

// Version is a directory below the versions directory.
type Version struct {
	ID string
	// Image is the image that it was made of, by store id; Payload is the reference by which it was asked for.
	Image, Payload, Release string
	Mounted                 bool
	// Verified and Configured hold for this boot: both are recorded on a file system that forgets.
	Verified, Configured, Proved bool
	// Holders say who uses it: processes and sandboxes, for people. Empty means that it may go.
	Holders []string
}

// Ready reports whether the version can be served.
func (v Version) Ready() bool { return v.Mounted && v.Verified && v.Configured }

// Image is a payload in the store.
type Image struct {
	ID       string
	Digests  []string
	Platform string
}

// Served is a payload that current pointed to.
type Served struct {
	Payload string `json:"payload"`
	Version string `json:"version"`
}

func (f Facts) image(payload string) (Image, bool) {
	i := slices.IndexFunc(f.Images, func(i Image) bool { return slices.Contains(i.Digests, node.Digest(payload)) })
	if i < 0 {
		return Image{}, false
	}
	return f.Images[i], true
}

func (f Facts) version(id string) (Version, bool) {
	i := slices.IndexFunc(f.Versions, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return Version{ID: id}, false
	}
	return f.Versions[i], true
}

// Serving returns the version that new pods get, if any.
func (f Facts) Serving() (Version, bool) {
	if f.Current == Pending {
		return Version{}, false
	}
	return f.version(f.Current)
}
