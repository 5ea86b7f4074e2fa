// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Both nodes are installed beside the broken one, leave while pods arrive at every tick at which
// they can, and are clean in the end. Whoever is away or behind: no pod is ever bound to a node
// whose Kata was taken away (world_test.go checks it at each tick).
func TestNodesComeAndLeaveUnderPodsBesideABrokenNode(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{noKVM, silent, dead} {
		for _, away := range []int{0, 3, 40} {
			for _, behind := range [][2]int{{0, 0}, {0, 3}, {1, 1}, {2, 1}, {3, 0}, {3, 3}} {
				for name, leave := range map[string]func(*world){"deletion": deleted, "deselection": deselected, "deselection, a pod now and then": vacated} {
					t.Run(fmt.Sprintf("%s, %s, controller away %d behind %d, agents behind %d", name, broken, away, behind[0], behind[1]), func(t *testing.T) {
						t.Parallel()
						w := newWorld(t, broken)
						w.controllerBehind, w.agentsBehind = behind[0], behind[1]
						w.create("one")
						w.until("installed", 120, w.every(ready))
						leave(w)
						w.until("clean", 200, w.awaits(away, w.every(clean)))
						w.ends()
					})
				}
			}
		}
	}
}

// deleted also withdraws the RuntimeClass, so that no more pods come.
func deleted(w *world) { w.delete("one") }

// deselected leaves it: pods come until they end by themselves.
func deselected(w *world) {
	for _, m := range w.machines {
		if m.broken == "" {
			m.write(func(labels, _ map[string]string) { delete(labels, "pool") })
		}
	}
}

// vacated leaves times without a pod, in which a node looks as if none came any more.
func vacated(w *world) {
	w.gap = 11
	deselected(w)
}

// awaits keeps the controller away for some ticks, and lets pods come for twenty more.
func (w *world) awaits(away int, holds func() bool) func() bool {
	began := w.tick
	return func() bool {
		w.away, w.arrive = w.tick < began+away, w.tick < began+away+30
		return holds()
	}
}

// ends repairs the broken node: nothing may be left of anything.
func (w *world) ends() {
	w.t.Helper()
	if at := w.index("one"); at >= 0 && w.configs[at].DeletionTimestamp == nil {
		w.delete("one")
	}
	w.machines[0].broken = noKVM // It answers again, and has nothing to remove.
	w.until("released", 50, func() bool { return len(w.configs) == 0 })
	assert.Nil(w.t, w.class)
}

// A KataConfig is deleted while another one selects the same nodes: they change hands and serve all
// the time.
func TestNodesChangeHandsUnderPods(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{noKVM, silent, dead} {
		for _, behind := range [][2]int{{0, 0}, {0, 3}, {3, 0}, {2, 2}} {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, controller behind %d, agents behind %d, the other is made after the deletion %v", broken, behind[0], behind[1], late), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, broken)
					w.controllerBehind, w.agentsBehind = behind[0], behind[1]
					w.create("one")
					w.until("installed", 120, w.every(ready))
					if late {
						w.delete("one")
						w.turn()
					}
					w.create("two")
					if !late {
						w.turn()
						w.delete("one")
					}
					uid := w.configs[w.index("two")].UID
					w.until("handed over", 120, w.every(func(m *machine) bool {
						assert.True(w.t, m.serves() && m.now.labelled(), "tick %d", w.tick)
						return ready(m) && m.owner() == string(uid)
					}))
					assert.NotNil(w.t, w.class)
					w.delete("two")
					w.until("clean", 200, w.every(clean))
				})
			}
		}
	}
}
