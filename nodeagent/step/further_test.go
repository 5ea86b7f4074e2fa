// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// offering is a payload with a further handler rs.
func offering(b *bench, config string) hosttest.Payload {
	p := hosttest.Payload{Version: "6", Shim: "#!/bin/true six", Further: []string{"rs"}, FurtherConfig: config}
	b.Registry[p.Reference()] = p
	return p
}

// further is an intent that names it.
func further(p hosttest.Payload) node.Intent {
	i := installing(p)
	i.Handlers = []string{"rs"}
	return i
}

// namedLater serves a payload whose further handler the intent names only now.
func namedLater(t *testing.T, config string) (*bench, hosttest.Payload) {
	t.Helper()
	b := newBench(t)
	p := offering(b, config)
	b.want(t, installing(p))
	_, last := b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)
	b.want(t, further(p))
	return b, p
}

func TestEveryHandlerHasItsDirectory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(offering(b, "[agent.kata]\nfurther = true\n")))
	b.settle(t)
	f := b.look(t)
	slot := f.Slots.All[0]
	assert.False(t, slot.Partial)
	assert.Equal(t, []string{"kata-oc", "kata-oc-rs"}, slot.Verified.Handlers)
	for handler, shim := range map[string]string{
		"kata-oc": "../payload/" + hosttest.ShimFile, "kata-oc-rs": "../payload/" + hosttest.ShimFile, "kata-oc-rs-proof": "../payload/" + hosttest.ShimFile,
		"kata-oc-debug": "../../pending/kata-oc-debug/" + host.Shim, "kata-oc-debug-proof": "../../pending/kata-oc-debug-proof/" + host.Shim,
	} {
		link, err := b.Files.Readlink(path.Join(host.SlotDir(slot.ID), handler, host.Shim))
		require.NoError(t, err)
		assert.Equal(t, shim, link, handler)
	}
	rs, err := b.Files.Read(path.Join(host.SlotDir(slot.ID), "kata-oc-rs", host.Configuration))
	require.NoError(t, err)
	assert.Contains(t, string(rs), "further = true", "the base is the handler's own")
	main, err := b.Files.Read(path.Join(host.SlotDir(slot.ID), "kata-oc", host.Configuration))
	require.NoError(t, err)
	assert.NotContains(t, string(main), "further")
}

func TestAHandlerThatIsNamedLaterNeedsNoRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := offering(b, "")
	b.want(t, installing(p))
	b.settle(t)
	starts := b.Starts
	b.want(t, further(p))
	done, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Prove}, done)
	assert.Equal(t, starts, b.Starts)
	assert.Equal(t, []string{"rs"}, b.look(t).Usable())
	assert.Empty(t, b.Sandboxes)
}

func TestACRIOWithTheDropInOfAnOlderAgentServesMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := offering(b, "")
	b.want(t, installing(p))
	b.settle(t)
	b.Handlers = []string{node.Handler, node.ProofHandler}
	b.want(t, further(p))
	s, f := b.until(t, plan.Prove)
	require.Equal(t, "rs", s.Object)
	require.NoError(t, b.runner().Run(t.Context(), s, f), "it is an answer")
	after := b.look(t)
	assert.Equal(t, []string{b.CRIO.Invocation, "rs"}, []string{after.Runtime.LacksFurther, after.Runtime.LacksHandler})
	_, serves := after.Serving()
	assert.True(t, serves)
	assert.Equal(t, plan.RestartCRIO, plan.For(after).Next()[0].Kind)
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	lacks, err := record.LoadLacks(b.Files)
	require.NoError(t, err)
	assert.Zero(t, lacks)
}

func TestAFurtherHandlerThatCannotBeConfiguredConcernsOnlyThoseWhoNameIt(t *testing.T) {
	t.Parallel()
	b, _ := namedLater(t, "[hypervisor.other]\npath = '/usr/bin/absent'\n")
	s, f := b.until(t, plan.Prove)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), `names "/usr/bin/absent"`)
	_, serves := b.look(t).Serving()
	assert.True(t, serves)
}

func TestAFurtherHandlersProofIsThatHandlers(t *testing.T) {
	t.Parallel()
	b, p := namedLater(t, "")
	s, f := b.until(t, plan.Prove)
	shim := path.Join(host.SlotDir(s.Slot), "payload", hosttest.ShimFile)
	require.NoError(t, b.Files.Write(shim, []byte(hosttest.Broken), 0o755))
	for range 3 {
		require.ErrorContains(t, b.runner().Run(t.Context(), s, f), `proving handler kata-oc-rs of payload "`+p.Reference()+`": `)
	}
	after := b.look(t)
	assert.Equal(t, s, plan.For(after).Next()[0], "it says nothing of the payload, so it is only tried again")
	assert.Empty(t, after.Usable())
	assert.Equal(t, node.PhaseInstalling, plan.For(after).Phase)
}

func TestAControlKeepsTheFurtherHandlersThatAreProved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := offering(b, "")
	b.want(t, further(p))
	b.settle(t)
	broken := hosttest.Payload{Version: "3", Shim: hosttest.Broken}
	b.Registry[broken.Reference()] = broken
	b.want(t, installing(broken))
	s, f := b.until(t, plan.Prove)
	require.Error(t, b.runner().Run(t.Context(), s, f))
	s, f = b.until(t, plan.Control)
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	proved, err := record.LoadProved(b.Files, s.Slot)
	require.NoError(t, err)
	assert.Equal(t, []string{"rs"}, proved.Handlers)
}
