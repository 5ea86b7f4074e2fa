// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moment is one inside a proof: runc is about to do this with a container of this kind.
type moment struct {
	command, kind string
	// kept is whether CRI-O keeps the sandbox then, for its caller to ask again.
	kept bool
}

func (m moment) String() string { return m.command + " " + m.kind }

// hookRunc lets runc call /run/kata-test/hook first, where there is one, with its command and the
// kind of the container that it creates.
const hookRunc = `
mv /usr/sbin/runc /usr/sbin/runc.real
cat >/usr/sbin/runc <<'END'
#!/bin/sh
wait_for() {
	bundle= command= previous=
	for argument; do
		[ "$previous" != --bundle ] || bundle=$argument
		case $argument in create|start) command=$argument ;; esac
		previous=$argument
	done
	kind=$([ -z "$bundle" ] || sed -n 's/.*"io.kubernetes.cri-o.ContainerType": *"\([a-z]*\)".*/\1/p' "$bundle/config.json")
	gate="/run/kata-test/runc-$command$kind"
	[ ! -p "$gate" ] || cat "$gate"
}
wait_for "$@" >/dev/null
exec /usr/sbin/runc.real "$@"
END
chmod 755 /usr/sbin/runc
`

// The caller of CRI-O may end at any moment of a proof. Before the sandbox is created CRI-O gives
// it up, and lets the shim delete what it makes meanwhile. After that it keeps the sandbox,
// unlisted, for one to two minutes. In each case the shim holds its payload, and the removal that
// follows has to end at once.
func TestAProofWhoseAgentIsKilledHoldsNoRemovalUp(t *testing.T) {
	t.Parallel()
	s := newStandalone(t, "interrupted-proof")
	s.run("sh", "-ec", hookRunc)
	s.intend(s.installing(s.one))
	s.awaitInstalled(s.one)
	for _, m := range []moment{{"create", "sandbox", false}, {"start", "", true}, {"create", "container", false}} {
		s.interrupt(m)
		s.intend(s.installing(s.one))
		s.awaitInstalled(s.one)
	}
}

// interrupt kills the agent at a moment of a proof, when a removal is wanted already.
func (s *standalone) interrupt(m moment) {
	s.t.Helper()
	before := s.crioSaid()
	gate := s.block("/run/kata-test/runc-" + m.command + m.kind)
	s.intend(s.installing(s.two))
	hanging := gate.awaitReader()
	s.intend(node.Intent{State: node.StateAbsent})
	s.kill()
	gate.remove()
	require.NoError(s.t, hanging.Close())
	s.awaitFile("has a removal, after "+m.String(), in(node.PhaseAbsent))
	s.awaitShims(0)
	assert.Empty(s.t, s.payloadMounts())
	said := s.crioSaid()[len(before):]
	assert.NotContains(s.t, said, "Cleaning up stale resource", "%s: the agent waits for no clock of CRI-O", m)
	assert.Equal(s.t, m.kept, strings.Contains(said, "in resource cache; using it"), m.String())
}

// crioSaid is CRI-O's journal.
func (s *standalone) crioSaid() string {
	s.t.Helper()
	journal, err := s.node.Journal(s.t.Context(), crioUnit)
	require.NoError(s.t, err)
	return journal
}
