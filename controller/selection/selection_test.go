// SPDX-License-Identifier: Apache-2.0

package selection_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/selection"
)

const (
	worker       = "node-role.kubernetes.io/worker"
	controlPlane = "node-role.kubernetes.io/control-plane"
	master       = "node-role.kubernetes.io/master"
)

func names(nodes []selection.Member) []string {
	out := []string{}
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return out
}

func notLinux(n *facts.Node) { n.Linux = false }

func TestOnlyWorkersAreSelected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		nodes []facts.Node
		want  []string
	}{
		"workers by role": {
			[]facts.Node{Worker("w"), Worker("cp", Without(worker), With(controlPlane, "")), Worker("infra", Without(worker))},
			[]string{"w"},
		},
		"a compact cluster's masters are workers too": {
			[]facts.Node{Worker("m1", With(master, "")), Worker("m2", With(master, ""))},
			[]string{"m1", "m2"},
		},
		"without role labels, whatever is not control plane": {
			[]facts.Node{Worker("a", Without(worker)), Worker("b", Without(worker), With(master, "")), Worker("c", Without(worker), With(controlPlane, ""))},
			[]string{"a"},
		},
		"Windows never": {
			[]facts.Node{Worker("linux"), Worker("windows", notLinux)},
			[]string{"linux"},
		},
		"virtual nodes never": {
			[]facts.Node{Worker("real"), Worker("virtual", With("type", "virtual-kubelet")), Worker("tainted", func(n *facts.Node) { n.Virtual = true })},
			[]string{"real"},
		},
		"none": {nil, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := selection.Divide([]facts.Config{Config("all")}, c.nodes)
			assert.Equal(t, c.want, names(d.Pools[0].Members))
			assert.Len(t, d.Unowned, len(c.nodes)-len(c.want))
		})
	}
}

func TestTheOlderKataConfigOwnsNodesThatBothSelect(t *testing.T) {
	t.Parallel()
	older, younger := Config("older", Selects("a", "1")), Config("younger", Younger, Selects("b", "1"))
	nodes := []facts.Node{
		Worker("both", With("a", "1"), With("b", "1")),
		Worker("only-a", With("a", "1")),
		Worker("only-b", With("b", "1")),
	}
	for _, configs := range [][]facts.Config{{older, younger}, {younger, older}} {
		d := selection.Divide(configs, nodes)
		require.Len(t, d.Pools, 2)
		assert.Equal(t, []string{"both", "only-a"}, names(d.Pools[0].Members))
		assert.Equal(t, []string{"only-b"}, names(d.Pools[1].Members))
		assert.Equal(t, []selection.Overlap{{Other: "younger", Owns: true, Nodes: []string{"both"}}}, d.Pools[0].Overlaps)
		assert.Equal(t, []selection.Overlap{{Other: "older", Owns: false, Nodes: []string{"both"}}}, d.Pools[1].Overlaps)
	}
}

func TestKataConfigsOfTheSameSecondAreOrderedTheSameWayEveryTime(t *testing.T) {
	t.Parallel()
	configs := []facts.Config{Config("b"), Config("a"), Config("c")}
	nodes := []facts.Node{Worker("w")}
	first := selection.Divide(configs, nodes)
	slices.Reverse(configs)
	assert.Equal(t, first, selection.Divide(configs, nodes))
	assert.Equal(t, "a", first.Pools[0].Config.Name)
}

func TestDeletionHandsNodesOverToTheNextKataConfig(t *testing.T) {
	t.Parallel()
	older, younger := Config("older", Deleted), Config("younger", Younger)
	d := selection.Divide([]facts.Config{older, younger}, []facts.Node{Worker("w", Done(older))})
	assert.True(t, d.Pools[0].Clean(), "nothing has to be removed: the node has a new owner")
	assert.Equal(t, []string{"w"}, names(d.Pools[1].Members))
	assert.Empty(t, d.Pools[1].Overlaps)
}

func TestANodeThatLostItsLabelLeavesThePoolThatInstalledIt(t *testing.T) {
	t.Parallel()
	c := Config("c", Selects("kata", "yes"))
	d := selection.Divide([]facts.Config{c}, []facts.Node{Worker("w", Done(c))})
	assert.Empty(t, d.Pools[0].Members)
	assert.Equal(t, []string{"w"}, names(d.Pools[0].Leaving))
	assert.False(t, d.Pools[0].Clean())
}

func TestAKataConfigWhoseSelectorCannotBeReadKeepsItsNodes(t *testing.T) {
	t.Parallel()
	broken, other := Config("broken"), Config("other", Younger)
	broken.Selector = nil
	d := selection.Divide([]facts.Config{broken, other}, []facts.Node{Worker("mine", Done(broken)), Worker("fresh")})
	assert.Equal(t, []string{"mine"}, names(d.Pools[0].Members))
	assert.Equal(t, []string{"fresh"}, names(d.Pools[1].Members))
}

func TestAnInstallationWithoutIntentBelongsToTheKataConfigOnItsWayOut(t *testing.T) {
	t.Parallel()
	c := Config("c", Deleted)
	d := selection.Divide([]facts.Config{c}, []facts.Node{Worker("w", Done(c), Vanished), Worker("idle", Idle)})
	assert.Equal(t, []string{"w"}, names(d.Pools[0].Leaving))
	assert.Equal(t, []string{"idle"}, names(d.Unowned))
}

func TestNodesOfAKataConfigThatIsGoneAreUnowned(t *testing.T) {
	t.Parallel()
	d := selection.Divide(nil, []facts.Node{Worker("w", Done(Config("gone")))})
	assert.Equal(t, []string{"w"}, names(d.Unowned))
	assert.Equal(t, node.PhaseInstalled, d.Unowned[0].Report.Phase)
}

func TestARoleLabelOnOneNodeTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	c := Config("c")
	nodes := []facts.Node{Worker("n0", Done(c)), Worker("n1", Without(worker), Done(c)), Worker("n2", Without(worker), Idle)}
	d := selection.Divide([]facts.Config{c}, nodes)
	assert.Equal(t, []string{"n0", "n1"}, names(d.Pools[0].Members))
	assert.Empty(t, d.Pools[0].Leaving)

	moved := Worker("n1", Without(worker), With("node-role.kubernetes.io/infra", ""), Done(c))
	d = selection.Divide([]facts.Config{c}, []facts.Node{Worker("n0", Done(c)), moved})
	assert.Equal(t, []string{"n1"}, names(d.Pools[0].Leaving), "a node that got another role leaves")
}

func TestInfraNodesAreNoWorkersWhereNoNodeIsLabelledWorker(t *testing.T) {
	t.Parallel()
	d := selection.Divide([]facts.Config{Config("c")}, []facts.Node{Worker("i", Without(worker), With("node-role.kubernetes.io/infra", ""), Idle)})
	assert.Empty(t, d.Pools[0].Members)
}

func TestEachMemberHasTheIntentThatIsWantedOnIt(t *testing.T) {
	t.Parallel()
	c, gone := Config("c", Selects("kata", "yes")), Config("gone")
	kata := With("kata", "yes")
	d := selection.Divide([]facts.Config{c}, []facts.Node{
		Worker("done", kata, Done(c)), Worker("new", kata, Idle),
		Worker("leaves", Done(c)), Worker("left", Unwanted(c)),
		Worker("orphan", Done(gone)), Worker("lost", Done(c), Vanished), Worker("plain", Idle),
		Worker("edited", kata, Done(c), func(n *facts.Node) { n.Intent.Payload = PayloadB }),
	})
	seen := map[string]string{}
	for _, m := range slices.Concat(d.Pools[0].Members, d.Pools[0].Leaving, d.Unowned) {
		if m.Wanted == nil {
			seen[m.Name] = "nothing"
			continue
		}
		require.NoError(t, m.Wanted.Validate())
		seen[m.Name] = fmt.Sprintf("%s for %q", m.Wanted.State, m.Wanted.Owner.Name)
		if m.Carries() {
			seen[m.Name] += ", carried"
		}
	}
	assert.Equal(t, map[string]string{
		"done": `Installed for "c", carried`, "new": `Installed for "c"`, "edited": `Installed for "c"`,
		"leaves": `Absent for "c"`, "left": `Absent for "c", carried`,
		"orphan": `Absent for "gone"`, "lost": `Absent for ""`, "plain": "nothing",
	}, seen)
	assert.Nil(t, selection.Install(Config("c", Payload("")), Worker("w")), "no payload is known")
}
