// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
)

// noShim is what that means to a sandbox that runs, and what to do.
const noShim = " has ended, and CRI-O cannot stop a sandbox without its shim; if it stays, reboot this node"

// stuck reports whether CRI-O cannot stop a running sandbox of ours.
func (f Facts) stuck(s Sandbox) bool {
	return s.Ready && s.Unknown == "" && slices.Contains(f.Slots.Shimless, s.ID)
}

// stranded names a running sandbox that CRI-O cannot stop, and what to do; empty where there is
// none.
func (f Facts) stranded() string {
	i := slices.IndexFunc(f.Runtime.Sandboxes, f.stuck)
	if i < 0 {
		return ""
	}
	s := f.Runtime.Sandboxes[i]
	return fmt.Sprintf("kata sandbox %s (%s) to end: its shim%s", s.Name, s.ID, noShim)
}

// stray names what keeps a slot that is not in use otherwise, and does not end with a pod: a
// sandbox that CRI-O cannot stop, or a process that alone keeps the slot.
func (f Facts) stray() string {
	if stranded := f.stranded(); stranded != "" {
		return stranded
	}
	for _, slot := range f.Slots.Held() {
		if len(slot.Strays) == len(slot.Holders) {
			return fmt.Sprintf("%s to end, which alone keeps payload %s in slot %s", slot.Strays[0], slot.Release, slot.ID)
		}
	}
	return ""
}

// older says of what kind those are that hold older payloads, and how many payloads; empty where
// none is held. Which ones they are is for status: most processes end a moment after their pod.
func (f Facts) older() string {
	kinds := []string{
		"running sandboxes hold %d older",
		"processes of ended sandboxes hold %d older",
		"processes of no sandbox hold %d older",
		"CRI-O does not answer, and sandboxes may hold %d older",
	}
	held := make([]map[string]bool, len(kinds))
	for _, slot := range f.Slots.Held() {
		kind := 1
		switch {
		case len(slot.Sandboxes) > 0:
			kind = 0
		case len(slot.Strays) == len(slot.Holders):
			kind = 2
		case !f.Runtime.Answers:
			kind = 3
		}
		if held[kind] == nil {
			held[kind] = map[string]bool{}
		}
		held[kind][node.Digest(slot.Payload)] = true
	}
	var parts []string
	for i, kind := range kinds {
		if len(held[i]) > 0 {
			parts = append(parts, fmt.Sprintf(kind, len(held[i])))
		}
	}
	return strings.Join(parts, ", ")
}
