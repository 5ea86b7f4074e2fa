// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// modelFurther is what a model knows of further handlers.
type modelFurther struct {
	// older is whether the running CRI-O was started with the drop-in of an agent that knew none.
	older bool
	// lacksFurther is the invocation that does not know handler rs.
	lacksFurther string
}

// offers lists the handlers of a payload. One payload has no further one.
func offers(digit string) []string {
	if digit == "c" {
		return []string{node.Handler}
	}
	return []string{node.Handler, node.FurtherHandler("rs")}
}

// handlerOf makes every second pod one of the further handler.
func handlerOf(p modelPod) string {
	if len(p.name)%2 == 0 {
		return node.FurtherHandler("rs")
	}
	return node.Handler
}

// lacksWanted reports whether CRI-O does not know a handler that is wanted.
func (m *model) lacksWanted(f plan.Facts) bool {
	return m.older && f.Intent.Wanted != nil && len(f.Intent.Wanted.Handlers) > 0
}

func (m *model) someHandlers() []string {
	if m.random.IntN(3) == 0 {
		return []string{"rs"}
	}
	return nil
}

// updateAgent is an update of the agent in a running system, from one that knew no further
// handlers.
func (m *model) updateAgent() {
	m.note("EVENT the agent is updated")
	m.older = m.crio.has
	m.dropIn.Right = false
	m.build++
	for _, slot := range m.slotsOf() {
		slot.Partial, slot.ProvedHandlers = slot.Configured, nil
		if slot.Verified != nil {
			described := *slot.Verified
			described.Handlers = nil
			slot.Verified = &described
		}
	}
}

func (m *model) proveFurther(s plan.Step) string {
	slot := m.slots[s.Slot]
	switch {
	case !m.crio.active || slot.Proved != m.invocation():
		return "PROOF of a further handler before that of kata-oc"
	case s.Object != "rs" || !slices.Contains(offers(slot.Image), node.FurtherHandler("rs")):
		return "PROOF of a handler that the payload does not offer"
	case m.older:
		m.lacksFurther = m.invocation()
		m.note("  unknown further handler")
		return ""
	}
	slot.ProvedHandlers, m.lacksFurther = []string{"rs"}, ""
	return ""
}
