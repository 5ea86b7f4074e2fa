// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
)

// gets is a node for whose version the catalogue has a payload.
func gets(payload string) State { return Gets(facts.Release{Payload: payload}) }

func TestTheFirstNodeOfEachPayloadGoesAlone(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued)
	fresh := func(name, payload string) facts.Node { return Worker(name, gets(payload), Idle) }
	changes := plan(c, fresh("a", PayloadA), fresh("b", PayloadA), fresh("c", PayloadB), fresh("d", PayloadB))
	require.Equal(t, []string{"a KataInstall", "c KataInstall"}, said(changes))
	assert.Equal(t, PayloadA, changes[0].Intent.Payload)
	assert.Equal(t, PayloadB, changes[1].Intent.Payload)

	a := Worker("a", gets(PayloadA), Done(c))
	assert.Equal(t, []string{"b KataInstall", "c KataInstall"}, said(plan(c, a, fresh("b", PayloadA), fresh("c", PayloadB), fresh("d", PayloadB))),
		"one payload's proof is none for another")
	one := Config("c", Catalogued, func(c *facts.Config) { c.MaxParallel = 1 })
	assert.Equal(t, []string{"a KataInstall"}, said(plan(one, fresh("a", PayloadA), fresh("b", PayloadA), fresh("c", PayloadB))), "maxParallel is for all payloads together")
}

func TestANodeThatWasUpgradedMovesAlone(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued)
	served := func(name, now string) facts.Node { return Worker(name, gets(PayloadA), Done(c), gets(now)) }
	changes := plan(c, served("a", PayloadA), served("b", PayloadB), served("c", PayloadA))
	require.Equal(t, []string{"b KataUpdate"}, said(changes))
	assert.Equal(t, PayloadB, changes[0].Intent.Payload)
}

func TestANodeWithoutPayloadForItsVersionKeepsWhatItServes(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued)
	none := Gets(facts.Release{Problem: "no entry"})
	assert.Empty(t, said(plan(c, Worker("a", gets(PayloadA), Done(c), none), Worker("b", none, Idle))))
	assert.Equal(t, []string{"a KataReady"}, said(plan(c, Worker("a", gets(PayloadA), Wanted(c), Reports(node.PhaseInstalled), none))), "and takes pods")
}

func TestABadPayloadHaltsItsOwnRollout(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued, func(c *facts.Config) { c.MaxFailures = intstr.FromInt32(10) })
	var nodes []facts.Node
	for i := range 3 {
		nodes = append(nodes, Worker(fmt.Sprintf("a%d", i), gets(PayloadA), Wanted(c), Reports(node.PhaseInstalling), Fails("prove payload", "no"), Unchanged(time.Hour)))
	}
	nodes = append(nodes, Worker("b", gets(PayloadA), Idle), Worker("c", gets(PayloadB), Idle))
	assert.Equal(t, []string{"c KataInstall"}, said(plan(c, nodes...)))
}

func TestPrefetchIsPacedAndNeverAheadOfWork(t *testing.T) {
	t.Parallel()
	two := Config("c", Catalogued, func(c *facts.Config) { c.MaxParallel = 2 })
	ahead := Gets(facts.Release{Payload: PayloadA, Prefetch: PayloadB})
	done := func(name string, states ...State) facts.Node {
		return Worker(name, append([]State{ahead, Done(two)}, states...)...)
	}
	fetching := func(name string, more ...State) facts.Node {
		return done(name, append([]State{Prefetches(PayloadB)}, more...)...)
	}
	changes := plan(two, done("a"), done("b"), done("c"))
	require.Equal(t, []string{"a KataPrefetch", "b KataPrefetch"}, said(changes))
	assert.Equal(t, PayloadB, changes[0].Intent.Prefetch)
	assert.Equal(t, done("a").Intent.ID, changes[0].Intent.ID)
	require.NoError(t, changes[0].Intent.Validate())

	for name, x := range map[string]struct {
		nodes []facts.Node
		want  []string
	}{
		"two are at it":            {[]facts.Node{fetching("a"), fetching("b"), done("c")}, []string{}},
		"one has it":               {[]facts.Node{fetching("a", Fetched), fetching("b"), done("c")}, []string{"c KataPrefetch"}},
		"one takes too long":       {[]facts.Node{fetching("a", Unchanged(time.Hour)), fetching("b"), done("c")}, []string{"c KataPrefetch"}},
		"another waits":            {[]facts.Node{done("a"), Worker("b", ahead, Idle)}, []string{"b KataInstall"}},
		"another moves":            {[]facts.Node{done("a"), Worker("b", ahead, Wanted(two), Reports(node.PhaseInstalling))}, []string{}},
		"another waits for ever":   {[]facts.Node{done("a"), Worker("b", ahead)}, []string{"a KataPrefetch"}},
		"a node is being drained":  {[]facts.Node{done("a", Cordoned), done("b")}, []string{"b KataPrefetch"}},
		"a node has just rebooted": {[]facts.Node{done("a", Rebooted), done("b")}, []string{"b KataPrefetch"}},
		"no longer":                {[]facts.Node{Worker("a", gets(PayloadA), Done(two), Prefetches(PayloadB))}, []string{"a KataPrefetch"}},
		"with the payload":         {[]facts.Node{Worker("a", gets(PayloadA), Done(two), Prefetches(PayloadB), gets(PayloadB))}, []string{"a KataUpdate"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := plan(two, x.nodes...)
			assert.Equal(t, x.want, said(changes))
			if name == "no longer" || name == "with the payload" {
				assert.Empty(t, changes[0].Intent.Prefetch)
			}
		})
	}
	override := Config("c")
	assert.Equal(t, []string{"a KataPrefetch"}, said(plan(override, Worker("a", Done(override), Prefetches(PayloadB)))), "payloadImage ends it")
}
