// SPDX-License-Identifier: Apache-2.0

package runtimeclass_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/selection"
)

// furthers returns the pairs for these KataConfigs.
func furthers(configs []facts.Config, main *nodev1.RuntimeClass, others ...*nodev1.RuntimeClass) []runtimeclass.Pair {
	pools := selection.Divide(configs, nil).Pools
	return runtimeclass.Further(others, main, runtimeclass.Desired(main, pools, false), pools)
}

// mainClass is kata-oc as the controller makes it.
func mainClass() *nodev1.RuntimeClass {
	return runtimeclass.Desired(nil, selection.Divide([]facts.Config{Config("c")}, nil).Pools, false)
}

func TestAFurtherHandlersClassIsTheClassWithItsOwnHandlerAndLabel(t *testing.T) {
	t.Parallel()
	c := Config("c", Handlers("debug", "rs"), tolerates(taint("x")))
	main := runtimeclass.Desired(nil, selection.Divide([]facts.Config{c}, nil).Pools, false)
	pairs := furthers([]facts.Config{c}, nil)
	require.Len(t, pairs, 2)
	class := pairs[1].Desired
	assert.Nil(t, pairs[1].Existing)
	assert.Equal(t, "kata-oc-rs", class.Name)
	assert.Equal(t, "kata-oc-rs", class.Handler)
	assert.Equal(t, map[string]string{node.ReadyLabel: "true", "node-restriction.kubernetes.io/kata-oc-rs": "true"}, class.Scheduling.NodeSelector)
	assert.Equal(t, main.Overhead, class.Overhead)
	assert.Equal(t, main.Scheduling.Tolerations, class.Scheduling.Tolerations)
	assert.Equal(t, main.Labels, class.Labels)
	assert.Equal(t, map[string]string{node.ReadyLabel: "true"}, main.Scheduling.NodeSelector, "the class itself stays as it is")
	assert.Equal(t, "kata-oc-debug", pairs[0].Desired.Name)
	assert.Nil(t, runtimeclass.Foreign(class), "it is ours")
}

func TestAFurtherHandlersClassIsWithdrawnAndDeletedWithTheClass(t *testing.T) {
	t.Parallel()
	class := furthers([]facts.Config{Config("c", Handlers("rs"))}, nil)[0].Desired
	ready := func(p runtimeclass.Pair) bool {
		return p.Desired.Scheduling.NodeSelector[node.FurtherLabel("rs")] != ""
	}

	pairs := furthers([]facts.Config{Config("c", Handlers("rs"))}, mainClass(), class)
	require.Len(t, pairs, 1)
	assert.True(t, runtimeclass.Same(class, pairs[0].Desired), "nothing to write")

	pairs = furthers([]facts.Config{Config("c")}, mainClass(), class)
	require.Len(t, pairs, 1)
	assert.False(t, ready(pairs[0]), "named no longer")
	assert.Contains(t, pairs[0].Desired.Scheduling.NodeSelector, runtimeclass.WithdrawnLabel)

	pairs = furthers(nil, mainClass(), class)
	require.Len(t, pairs, 1)
	assert.Nil(t, pairs[0].Desired, "deleted with kata-oc")
	assert.Empty(t, furthers([]facts.Config{Config("c")}, mainClass()), "and not made where none names it")
}

func TestAFurtherHandlersClassOfAnotherOwnerIsLeftAloneAndNamed(t *testing.T) {
	t.Parallel()
	foreign := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata-oc-rs"}, Handler: "kata-oc-rs"}
	other := &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{Name: "kata-oc-rs", Labels: map[string]string{runtimeclass.OwnerLabel: runtimeclass.Owner}}, Handler: "kata-oc",
	}
	for _, class := range []*nodev1.RuntimeClass{foreign, other} {
		assert.Empty(t, furthers([]facts.Config{Config("c", Handlers("rs"))}, mainClass(), class))
		assert.Empty(t, furthers(nil, mainClass(), class))
		problem := runtimeclass.FurtherProblem([]string{"debug", "rs"}, []*nodev1.RuntimeClass{class})
		assert.Contains(t, problem, `RuntimeClass "kata-oc-rs"`)
		assert.Contains(t, problem, "take rs out of spec.config.handlers")
	}
	assert.Empty(t, runtimeclass.FurtherProblem([]string{"rs"}, nil))
	assert.Empty(t, runtimeclass.FurtherProblem(nil, []*nodev1.RuntimeClass{foreign}))
}
