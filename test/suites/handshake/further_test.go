// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A further handler is named while the payload serves: pods are served all the time. CRI-O is
// restarted for it only where it was started with the drop-in of an older agent.
func TestAFurtherHandlerIsNamedUnderPods(t *testing.T) {
	t.Parallel()
	for _, older := range []bool{false, true} {
		for _, behind := range [][2]int{{0, 0}, {0, 3}, {2, 1}, {3, 3}} {
			t.Run(fmt.Sprintf("older drop-in %v, controller behind %d, agents behind %d", older, behind[0], behind[1]), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, noKVM)
				w.controllerBehind, w.agentsBehind = behind[0], behind[1]
				offering := hosttest.Payload{Version: "1.0.0", Shim: "#!/bin/true", Further: []string{"rs"}}
				w.create("one")
				w.configs[0].Spec.Config.PayloadImage = offering.Reference()
				for _, m := range w.machines[1:] {
					m.host.Registry[offering.Reference()] = offering
				}
				w.until("installed", 120, w.every(ready))
				starts := map[string]int{}
				for _, m := range w.machines[1:] {
					starts[m.name] = m.host.Starts
					if older {
						m.host.Handlers = []string{node.Handler, node.ProofHandler}
					}
				}
				w.configs[0].Spec.Config.Handlers = []v1.HandlerName{"rs"}
				w.until("served", 200, w.every(func(m *machine) bool {
					assert.True(t, m.serves() && m.now.labelled(), "tick %d", w.tick)
					return ready(m) && m.now.labels[node.FurtherLabel("rs")] != ""
				}))
				for _, m := range w.machines[1:] {
					assert.Equal(t, older, m.host.Starts > starts[m.name], "CRI-O of %s is restarted", m.name)
				}
				w.delete("one")
				w.until("clean", 200, w.every(clean))
				w.ends()
			})
		}
	}
}

// usable are the further handlers that pods can use on a node.
func (m *machine) usable() []string {
	m.t.Helper()
	f, err := observe.Observer{Host: m.host.Host(), Self: m.self}.Look(m.t.Context(), cluster.State{Known: true, Intent: m.now.annotations[node.IntentAnnotation]})
	require.NoError(m.t, err)
	return f.Usable()
}
