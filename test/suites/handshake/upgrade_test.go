// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/payload/catalog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The cluster's upgrade is followed node by node: every node has what the next version needs before
// it is upgraded, goes on serving meanwhile, and needs no registry after it.
func TestAnUpgradeOfTheClusterMovesEachNodeByItself(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{noKVM, silent, dead} {
		for _, behind := range [][2]int{{0, 0}, {0, 3}, {2, 1}, {3, 3}} {
			t.Run(fmt.Sprintf("%s, controller behind %d, agents behind %d", broken, behind[0], behind[1]), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, broken)
				w.controllerBehind, w.agentsBehind = behind[0], behind[1]
				before, after := payload(), hosttest.Payload{Version: "2.0.0", Shim: "#!/bin/true"}
				w.releases(19, before, after)
				w.create("one")
				w.configs[0].Spec.Config.PayloadImage = ""
				w.until("installed", 120, w.every(ready))

				w.desired.Version = "4.20.0"
				w.until("fetched ahead of time", 120, w.every(func(m *machine) bool { return m.last.Prefetched == node.Digest(after.Reference()) }))
				w.until("ready", 20, w.every(ready))
				for _, m := range w.machines[1:] {
					assert.Equal(t, node.Digest(before.Reference()), m.last.Payload)
					delete(m.host.Registry, after.Reference())
				}
				one, other := w.machines[1], w.machines[2]
				one.upgraded()
				w.until("moved", 60, serves(one, after))
				assert.True(t, serves(other, before)())
				other.upgraded()
				w.until("moved", 60, serves(other, after))
				w.until("ready", 20, w.every(ready))
			})
		}
	}
}

// releases publishes a catalogue with one payload for a minor version, which every node runs, and
// another one for the next.
func (w *world) releases(minor int, before, after hosttest.Payload) {
	w.t.Helper()
	c, err := catalog.Parse(fmt.Appendf(nil, "format: 1\npayloads:\n- {image: '%s', openshift: ~4.%d}\n- {image: '%s', openshift: ~4.%d}\n",
		before.Reference(), minor, after.Reference(), minor+1))
	require.NoError(w.t, err)
	w.catalog, w.desired = c, release.Desired{Known: true, Version: fmt.Sprintf("4.%d.0", minor)}
	for _, m := range w.machines {
		m.minor = minor
		if m.broken == "" {
			m.host.Registry[after.Reference()] = after
		}
	}
}

// upgraded is a Node whose kubelet says the next version.
func (m *machine) upgraded() {
	m.minor++
	m.write(func(_, _ map[string]string) {})
}

func serves(m *machine, p hosttest.Payload) func() bool {
	return func() bool {
		return m.last.Phase == node.PhaseInstalled && m.last.Payload == node.Digest(p.Reference())
	}
}
