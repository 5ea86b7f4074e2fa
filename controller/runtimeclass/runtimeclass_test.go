// SPDX-License-Identifier: Apache-2.0

package runtimeclass_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/selection"
)

func desired(configs []facts.Config, nodes ...facts.Node) *nodev1.RuntimeClass {
	return runtimeclass.Desired(nil, selection.Divide(configs, nodes).Pools, false)
}

func costs(cpu, memory string) Change {
	return func(c *facts.Config) {
		c.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
}

func TestTheClassSelectsReadyNodes(t *testing.T) {
	t.Parallel()
	class := desired([]facts.Config{Config("c")})
	require.NotNil(t, class)
	assert.Equal(t, "kata-oc", class.Name)
	assert.Equal(t, "kata-oc", class.Handler)
	assert.Equal(t, map[string]string{node.ReadyLabel: "true"}, class.Scheduling.NodeSelector)
	assert.Equal(t, "250m", class.Overhead.PodFixed.Cpu().String())
	assert.Equal(t, "350Mi", class.Overhead.PodFixed.Memory().String())
}

func TestTheClassLivesFromTheFirstAcceptedKataConfigToTheLastCleanOne(t *testing.T) {
	t.Parallel()
	c, deleted := Config("c"), Config("c", Deleted)
	notYet := Config("c", func(c *facts.Config) { c.Accepted = false })
	for name, x := range map[string]struct {
		configs []facts.Config
		nodes   []facts.Node
		want    string
	}{
		"no KataConfig":               {nil, nil, ""},
		"not accepted yet":            {[]facts.Config{notYet}, nil, ""},
		"accepted":                    {[]facts.Config{c}, nil, node.ReadyLabel},
		"one goes, one stays":         {[]facts.Config{deleted, Config("d")}, nil, node.ReadyLabel},
		"all go, a node is not clean": {[]facts.Config{deleted}, []facts.Node{Worker("w", Done(c))}, runtimeclass.WithdrawnLabel},
		"all go, all clean":           {[]facts.Config{deleted}, []facts.Node{Worker("w", Idle)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			class := desired(x.configs, x.nodes...)
			if x.want == "" {
				assert.Nil(t, class)
				return
			}
			require.NotNil(t, class)
			assert.Equal(t, map[string]string{x.want: "true"}, class.Scheduling.NodeSelector)
		})
	}
}

func TestOverheadIsTheLargestOfEachResource(t *testing.T) {
	t.Parallel()
	class := desired([]facts.Config{Config("a", costs("100m", "2Gi"), Selects("k", "a")), Config("b", costs("1", "64Mi"), Selects("k", "b"))},
		Worker("a", With("k", "a")), Worker("b", With("k", "b")))
	assert.Equal(t, "1", class.Overhead.PodFixed.Cpu().String())
	assert.Equal(t, "2Gi", class.Overhead.PodFixed.Memory().String())
}

func TestAClassThatSomebodyElseMadeIsRefusedByName(t *testing.T) {
	t.Parallel()
	ours := desired([]facts.Config{Config("c")})
	assert.Nil(t, runtimeclass.Foreign(nil))
	assert.Nil(t, runtimeclass.Foreign(ours))

	theirs := ours.DeepCopy()
	theirs.Labels = nil
	require.NotNil(t, runtimeclass.Foreign(theirs))
	assert.Contains(t, runtimeclass.Foreign(theirs).Message, `"kata-oc"`)

	other := ours.DeepCopy()
	other.Handler = "kata"
	require.NotNil(t, runtimeclass.Foreign(other))
	assert.Contains(t, runtimeclass.Foreign(other).Message, `"kata"`)
}

func TestDriftIsRepairedAndNothingElse(t *testing.T) {
	t.Parallel()
	want := desired([]facts.Config{Config("c")})
	existing := want.DeepCopy()
	existing.Annotations = map[string]string{"somebody": "else"}
	existing.Overhead.PodFixed = corev1.ResourceList{"cpu": resource.MustParse("0.25"), "memory": resource.MustParse("350Mi")}
	assert.True(t, runtimeclass.Same(existing, want), "0.25 is 250m")

	existing.Scheduling = nil
	assert.False(t, runtimeclass.Same(existing, want))
	merged := runtimeclass.Merge(existing, want)
	assert.True(t, runtimeclass.Same(merged, want))
	assert.Equal(t, existing.Annotations, merged.Annotations)
}

func TestAHandOverKeepsTheClass(t *testing.T) {
	t.Parallel()
	deleted, next := Config("a", Deleted), Config("b", func(c *facts.Config) { c.Accepted = false })
	existing := desired([]facts.Config{Config("a")})
	pools := selection.Divide([]facts.Config{deleted, next}, []facts.Node{Worker("w", Done(deleted))}).Pools
	class := runtimeclass.Desired(existing, pools, true)
	require.NotNil(t, class)
	assert.Equal(t, map[string]string{node.ReadyLabel: "true"}, class.Scheduling.NodeSelector)
	assert.Nil(t, runtimeclass.Desired(nil, selection.Divide([]facts.Config{next}, nil).Pools, false), "and nothing is made before its finalizer is there")
}

func TestTheClassOutlivesTheLastLabel(t *testing.T) {
	t.Parallel()
	existing := desired([]facts.Config{Config("a")})
	class := runtimeclass.Desired(existing, nil, true)
	require.NotNil(t, class)
	assert.Equal(t, map[string]string{runtimeclass.WithdrawnLabel: "true"}, class.Scheduling.NodeSelector)
	assert.Nil(t, runtimeclass.Desired(existing, nil, false))
}

func TestAKataConfigWithoutNodesChargesNobody(t *testing.T) {
	t.Parallel()
	huge := Config("huge", costs("1", "1Ti"), Selects("no-node", "has"))
	class := desired([]facts.Config{huge, Config("c", costs("2", "2Gi"))}, Worker("w", Idle))
	assert.Equal(t, "2Gi", class.Overhead.PodFixed.Memory().String())
}
