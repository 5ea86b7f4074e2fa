// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

// CRI-O cannot stop a sandbox whose shim has ended, whatever has become of its VM.
func TestASandboxWithoutAShimIsAFact(t *testing.T) {
	t.Parallel()
	process := func(id string, args ...string) host.Process {
		return host.Process{PID: 7, Args: args, Paths: []string{host.PayloadDir(id) + "/file"}}
	}
	shim, vm := process("v1", "/x/shim", "-id", "0123abcd"), process("v1", "/x/qemu", "-name", "sandbox-0123abcd,debug-threads=on")
	for name, c := range map[string]struct {
		change   func(m *hosttest.Machine)
		shimless []string
		v1, v2   []string
	}{
		"a shim and its VM":               {func(m *hosttest.Machine) { m.Processes = []host.Process{shim, vm} }, nil, []string{"ns/pod"}, nil},
		"a VM without its shim":           {func(m *hosttest.Machine) { m.Processes = []host.Process{vm} }, []string{"0123abcd"}, []string{"ns/pod"}, []string{"ns/pod"}},
		"neither":                         {func(*hosttest.Machine) {}, []string{"0123abcd"}, []string{"ns/pod"}, []string{"ns/pod"}},
		"a sandbox that has ended":        {func(m *hosttest.Machine) { m.Sandboxes[0].Ready = false }, nil, nil, nil},
		"a process that cannot be read":   {func(m *hosttest.Machine) { m.Processes = []host.Process{{PID: 8, Unread: "no answer"}} }, nil, []string{"ns/pod"}, []string{"ns/pod"}},
		"a CRI-O that does not answer it": {func(m *hosttest.Machine) { m.Silent = true }, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			prepare(t, m, "v1")
			prepare(t, m, "v2")
			put(t, m, map[string]string{host.DropIn: "x"})
			m.Sandboxes = []host.Sandbox{{ID: "0123abcd", Handler: node.Handler, Namespace: "ns", Name: "pod", Ready: true}}
			c.change(m)
			slots := look(t, m, cluster.State{}).Slots
			assert.Equal(t, c.shimless, slots.Shimless)
			assert.Equal(t, c.v1, slots.All[0].Sandboxes)
			assert.Equal(t, c.v2, slots.All[1].Sandboxes)
		})
	}
}
