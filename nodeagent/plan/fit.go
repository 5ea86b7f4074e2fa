// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// handlerType is the only type under which the agent gives CRI-O a handler.
const handlerType = "vm"

// fits compares what a verified payload says of itself with this host, before anything outside the
// agent's own directories is changed for it. What keeps the host from running it is in the report's
// hostCheck and no error: the payload that serves continues to serve.
func (w *way) fits() bool {
	slot, _ := w.facts.Slots.find(w.id)
	if !slot.Mounted || slot.Verified == nil {
		return true
	}
	v := slot.Verified
	switch {
	case v.Architecture != w.facts.Host.Architecture:
		return w.problem(Verify, node.ReasonPayloadUnfit,
			fmt.Sprintf("payload %q is for %s, this node is %s: name a payload for it, or an index that has one", w.payload, v.Architecture, w.facts.Host.Architecture))
	case v.HandlerType == "":
		return w.problem(Verify, node.ReasonPayloadUnfit,
			fmt.Sprintf("payload %q offers no handler %s: use a payload built for it", w.payload, node.Handler))
	case v.HandlerType != handlerType:
		return w.problem(Verify, node.ReasonPayloadUnfit,
			fmt.Sprintf("payload %q offers handler %s with type %s: the agent configures type %s only", w.payload, node.Handler, v.HandlerType, handlerType))
	}
	requires, _ := w.facts.requires(w.payload)
	w.unfit = w.facts.unfitFor(requires) != ""
	return !w.unfit && w.offers(v.Handlers)
}

// offers compares the handlers that the payload offers with those that are wanted. Where an older
// agent has verified it they are not known, and it is verified again.
func (w *way) offers(offered []string) bool {
	for _, name := range w.further {
		handler := node.FurtherHandler(name)
		switch {
		case !slices.Contains(node.FurtherHandlers(), name):
			return w.problem(Verify, node.ReasonHandlerNotOffered,
				fmt.Sprintf("this agent knows no handler %s: %s, or %s", handler, w.facts.Cluster.newer(), w.facts.Cluster.without(name)))
		case len(offered) == 0:
			w.do(Verify)
			return true
		case !slices.Contains(offered, handler):
			return w.problem(Verify, node.ReasonHandlerNotOffered,
				fmt.Sprintf("payload %q offers no handler %s: %s, or use a payload with it", w.payload, handler, w.facts.Cluster.without(name)))
		}
	}
	return true
}

// modules loads what the payload's virtual machines need and can be loaded.
func (w *way) modules() {
	if requires, _ := w.facts.requires(w.payload); requires.KVM && len(w.facts.Host.Modules) > 0 {
		w.do(LoadModules)
	}
}

// reaches reports whether the payload's shim can reach all running sandboxes: CRI-O runs the
// current shim for every further container of an older sandbox. Until then the older payload stays
// current, and those sandboxes are named.
func (w *way) reaches() bool {
	candidate, _ := w.facts.Slots.find(w.id)
	if candidate.Verified == nil {
		return true
	}
	var older []Slot
	var names []string
	for _, slot := range w.facts.Slots.All {
		same := slot.Verified != nil && slot.Verified.ShimCompatibility == candidate.Verified.ShimCompatibility
		if slot.ID != w.id && !same && len(slot.Holders) > 0 {
			older, names = append(older, slot), append(names, slot.Sandboxes...)
		}
	}
	if len(older) == 0 {
		return true
	}
	slices.Sort(names)
	who := older[0].Holders[0]
	switch {
	case len(names) > 0:
		who = "kata sandboxes " + some(slices.Compact(names))
	case !w.facts.Runtime.Answers:
		return w.waitFor("CRI-O to answer, to learn which kata sandboxes run" + because(w.facts.Runtime.Silence))
	}
	return w.waitFor(fmt.Sprintf("%s to end: the shim of payload %s cannot reach sandboxes of payload %s", who, candidate.Release, older[0].Release))
}
