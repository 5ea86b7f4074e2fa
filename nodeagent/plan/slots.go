// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// Pending is the slot that serves no payload.
const Pending = "pending"

// Slots are the payloads prepared on this host.
type Slots struct {
	All []Slot
	// Current and Proof are the slots that the links name; empty where a link is not there or leads
	// elsewhere.
	Current, Proof string
	// Findings are what was kept of slots when they were unmounted.
	Findings []record.Findings
	// Mixed are running sandboxes that use more than one slot.
	Mixed []Mixed
	// Shimless are ids of running sandboxes of which no shim runs. CRI-O cannot stop such a
	// sandbox, and panics over it where it was started after the end of the shim. A boot ends it.
	Shimless []string
}

// Mixed is a sandbox with parts of several slots: a shim of one, and a VM of another.
type Mixed struct {
	// Sandbox is its name and id.
	Sandbox string
	Slots   []string
}

// Slot is a directory below the slots directory: a payload as prepared for this host.
type Slot struct {
	ID string
	record.Origin
	Mounted bool
	// Verified is what the mounted payload says of itself, nil while its files were not compared
	// with its manifest. It and Configured hold while the slot is mounted.
	Verified   *record.Verified
	Configured bool
	// Partial is whether files of further handlers are missing: an older agent has configured
	// the slot, which can be served all the same.
	Partial bool
	// Guest is whether what guests start from is there, where the host makes it. It holds while the
	// slot is mounted.
	Guest bool
	// Proved is the invocation of CRI-O that has started a sandbox from the slot, empty where none
	// has.
	Proved string
	// ProvedHandlers are names of further handlers of which that invocation has started one, too.
	ProvedHandlers []string
	// Failed is what came of proofs of the slot that did not pass.
	Failed record.Failed
	// Holders say who uses it: processes and sandboxes, for people. Empty means that it may be
	// unmounted.
	Holders []string
	// Sandboxes are names of running sandboxes that use it, or may: those that no shim ties to a
	// slot may use any.
	Sandboxes []string
	// Strays are those of Holders that end with no sandbox of CRI-O: only a person knows what they
	// are for, and nothing else ends them.
	Strays []string
}

// name is how sentences name the slot's payload.
func (s Slot) name() string {
	digest := node.Digest(s.Payload)
	return fmt.Sprintf("payload %s (%s)", s.Release, digest[:min(len(digest), shownDigest)])
}

// shownDigest is the part of a digest that people compare.
const shownDigest = len("sha256:") + 12

// Ready reports whether the slot can be served.
func (s Slot) Ready() bool {
	return s.Mounted && s.Verified != nil && !s.lacksGuest() && s.Configured
}

// lacksGuest reports whether a verified payload asks for a guest that is not made.
func (s Slot) lacksGuest() bool { return s.Verified != nil && s.Verified.Guest && !s.Guest }

func (s Slots) find(id string) (Slot, bool) {
	i := slices.IndexFunc(s.All, func(slot Slot) bool { return slot.ID == id })
	if i < 0 {
		return Slot{ID: id}, false
	}
	return s.All[i], true
}

// leads reports whether a link to this slot leads somewhere: to pending, or to a payload that can
// be served.
func (s Slots) leads(id string) bool {
	slot, _ := s.find(id)
	return id == Pending || slot.Ready()
}

// Held returns the slots that are there only because they are used.
func (s Slots) Held() []Slot {
	var held []Slot
	for _, slot := range s.All {
		if slot.ID != s.Current && slot.ID != s.Proof && len(slot.Holders) > 0 {
			held = append(held, slot)
		}
	}
	return held
}

// notice names a sandbox with parts of several slots.
func (s Slots) notice() string {
	if len(s.Mixed) == 0 {
		return ""
	}
	var parts []string
	for _, id := range s.Mixed[0].Slots {
		slot, _ := s.find(id)
		parts = append(parts, fmt.Sprintf("payload %s in slot %s", slot.Release, id))
	}
	others := ""
	if more := len(s.Mixed) - 1; more > 0 {
		others = fmt.Sprintf(" (and %d more)", more)
	}
	return fmt.Sprintf("kata sandbox %s%s runs with parts of %s: it started while payloads were switched, delete its pod", s.Mixed[0].Sandbox, others, strings.Join(parts, " and "))
}

// SlotID names a payload as prepared for this host: equal ids mean equal content, on any node.
func SlotID(platform, kernel, settings string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n", platform, kernel, settings))
	return hex.EncodeToString(sum[:])[:16]
}
