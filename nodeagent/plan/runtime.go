// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// Runtime is the node's container runtime, CRI-O.
type Runtime struct {
	Active     bool
	Invocation string
	// Since is when it last became active, the zero time where that is not known.
	Since time.Time
	// Version and KillMode are what the host check looks at, empty while they are not known.
	Version, KillMode string
	// Lacks is the invocation that has answered that it does not know our handlers, empty where
	// none has.
	Lacks string
	// LacksFurther is the invocation that has answered so of further handler LacksHandler alone.
	LacksFurther, LacksHandler string
	// Restarted is the last use of a grant in this boot.
	Restarted record.Restarted
	// Answers is whether it answered over CRI; without that Sandboxes is unknown. Silence is what
	// it said instead.
	Answers   bool
	Silence   string
	Sandboxes []Sandbox
	// Asked are the names of proofs of which it may have a sandbox that it does not list.
	Asked  []string
	DropIn DropIn
	// Conflicts are keys in other files of CRI-O's configuration that concern our handlers.
	Conflicts []Conflict
	// Refused says why CRI-O would not start with its configuration, empty when nothing speaks
	// against it.
	Refused string
	// Words is what a CRI-O printed last that does not run since the agent has restarted it, or
	// that ends again and again; empty where that is not known.
	Words string
	// Crashes are how CRI-O has ended by itself of late.
	Crashes Crashes
}

// Crashes are how CRI-O has ended by itself within CrashSpan.
type Crashes struct {
	// Restarts is how often systemd has started it again, GivenUp whether it does so no more.
	Restarts int
	GivenUp  bool
	// Fatal is the line by which CRI-O last said that it ends, empty where it said nothing.
	Fatal string
}

// lacksHandlers reports whether the CRI-O that runs now has said that it does not know our
// handlers.
func (r Runtime) lacksHandlers() bool { return r.Lacks != "" && r.Lacks == r.Invocation }

// lacks reports whether the CRI-O that runs now has said so of our handlers, or of one of these
// further ones.
func (r Runtime) lacks(further []string) bool {
	return r.lacksHandlers() || r.LacksFurther != "" && r.LacksFurther == r.Invocation && slices.Contains(further, r.LacksHandler)
}

// RestartedForHandlers reports whether the agent has restarted a CRI-O because it lacked handlers.
func (r Runtime) RestartedForHandlers() bool {
	restarted := r.Restarted.Invocation
	return restarted != "" && (restarted == r.Lacks || restarted == r.LacksFurther)
}

// Sandbox is a sandbox of one of our handlers, or may be one.
type Sandbox struct {
	ID, Handler, Name string
	Ready             bool
	// Unknown is what the runtime answered instead of the handler, empty where Handler is known.
	Unknown string
}

// Proof reports whether it is the sandbox of a proof.
func (s Sandbox) Proof() bool { return slices.Contains(node.ProofHandlers(), s.Handler) }

// proofs are the sandboxes of proofs, also those that run no longer: the shim of such a sandbox
// lives, and holds its slot, until the sandbox is removed.
func (r Runtime) proofs() []Sandbox {
	var left []Sandbox
	for _, s := range r.Sandboxes {
		if s.Proof() {
			left = append(left, s)
		}
	}
	return left
}

// runningProofs are those of which each is a VM with its memory.
func (r Runtime) runningProofs() []Sandbox {
	return slices.DeleteFunc(r.proofs(), func(s Sandbox) bool { return !s.Ready })
}

// DropIn is our file in CRI-O's configuration.
type DropIn struct {
	Exists bool
	// Right is whether it means to CRI-O what the agent writes.
	Right bool
	// Hidden is where CRI-O reads drop-ins instead, empty where it reads ours.
	Hidden string
}

// Conflict is a key in another owner's file of CRI-O's configuration, or an option of its process.
type Conflict struct {
	File, Key string
	// Default is whether the key makes one of our handlers the default runtime.
	Default bool
}
