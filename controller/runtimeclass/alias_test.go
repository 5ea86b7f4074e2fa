// SPDX-License-Identifier: Apache-2.0

package runtimeclass_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nodev1 "k8s.io/api/node/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/selection"
)

func called(aliases ...string) Change {
	return func(c *facts.Config) { c.Aliases = aliases }
}

// outcome is what becomes of each class.
func outcome(configs []facts.Config, main *nodev1.RuntimeClass, others ...*nodev1.RuntimeClass) map[string]string {
	pools := selection.Divide(configs, nil).Pools
	out := map[string]string{}
	for _, pair := range runtimeclass.Aliases(others, main, runtimeclass.Desired(main, pools, false), pools) {
		switch {
		case pair.Desired == nil:
			out[pair.Existing.Name] = "deleted"
		case pair.Desired.Scheduling.NodeSelector[node.ReadyLabel] != "":
			out[pair.Desired.Name] = "ready"
		default:
			out[pair.Desired.Name] = "withdrawn"
		}
	}
	return out
}

// made is the class of an alias as the controller makes it.
func made(t *testing.T, name string) *nodev1.RuntimeClass {
	t.Helper()
	pools := selection.Divide([]facts.Config{Config("c", called(name))}, nil).Pools
	pairs := runtimeclass.Aliases(nil, nil, runtimeclass.Desired(nil, pools, false), pools)
	require.Len(t, pairs, 1)
	return pairs[0].Desired
}

func TestAnAliasIsTheClassByAnotherName(t *testing.T) {
	t.Parallel()
	pools := selection.Divide([]facts.Config{Config("c", called("kata"), tolerates(taint("x")))}, nil).Pools
	class := runtimeclass.Desired(nil, pools, false)
	pairs := runtimeclass.Aliases(nil, nil, class, pools)
	require.Len(t, pairs, 1)
	assert.Nil(t, pairs[0].Existing)
	assert.Equal(t, "kata", pairs[0].Desired.Name)
	assert.Equal(t, class.Handler, pairs[0].Desired.Handler)
	assert.True(t, runtimeclass.Same(pairs[0].Desired, class))
	assert.Equal(t, "kata-oc", class.Name, "the class itself stays as it is")
	assert.NotContains(t, class.Labels, runtimeclass.AliasLabel)
}

func TestWhatBecomesOfAliases(t *testing.T) {
	t.Parallel()
	main := desired([]facts.Config{Config("c")})
	kata := made(t, "kata")
	theirs := &nodev1.RuntimeClass{Handler: "kata"}
	theirs.Name = "kata"
	copied := main.DeepCopy()
	copied.Name = "kata"
	notYet := func(c *facts.Config) { c.Accepted = false }
	foreign := main.DeepCopy()
	foreign.Labels = nil
	for name, x := range map[string]struct {
		configs []facts.Config
		main    *nodev1.RuntimeClass
		others  []*nodev1.RuntimeClass
		want    map[string]string
	}{
		"named by two":                  {[]facts.Config{Config("a", called("kata", "x")), Config("b", called("kata", "y"))}, nil, nil, map[string]string{"kata": "ready", "x": "ready", "y": "ready"}},
		"not accepted yet":              {[]facts.Config{Config("a", called("kata"), notYet)}, nil, nil, map[string]string{}},
		"about to be accepted":          {[]facts.Config{Config("a", Deleted), Config("b", called("kata"), notYet)}, main, []*nodev1.RuntimeClass{kata}, map[string]string{"kata": "ready"}},
		"named no more":                 {[]facts.Config{Config("a")}, main, []*nodev1.RuntimeClass{kata}, map[string]string{"kata": "withdrawn"}},
		"named by one that is deleted":  {[]facts.Config{Config("a", called("kata"), Deleted), Config("b")}, main, []*nodev1.RuntimeClass{kata}, map[string]string{"kata": "withdrawn"}},
		"the last KataConfig is gone":   {nil, main, []*nodev1.RuntimeClass{kata, theirs}, map[string]string{"kata": "deleted"}},
		"another owner's":               {[]facts.Config{Config("a", called("kata"))}, main, []*nodev1.RuntimeClass{theirs}, map[string]string{}},
		"another owner's copy of ours":  {[]facts.Config{Config("a")}, main, []*nodev1.RuntimeClass{copied}, map[string]string{}},
		"another owner has kata-oc":     {[]facts.Config{Config("a", called("x"))}, foreign, []*nodev1.RuntimeClass{kata}, map[string]string{}},
		"and the last KataConfig left":  {nil, foreign, []*nodev1.RuntimeClass{kata}, map[string]string{"kata": "deleted"}},
		"nothing wanted, nothing there": {nil, nil, []*nodev1.RuntimeClass{theirs}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, x.want, outcome(x.configs, x.main, x.others...))
		})
	}
}

func TestAliasesOfOthersAreNamedWithWhatToDo(t *testing.T) {
	t.Parallel()
	theirs := made(t, "kata")
	theirs.Labels = nil
	others := []*nodev1.RuntimeClass{made(t, "mine"), theirs}
	assert.Empty(t, runtimeclass.AliasProblem([]string{"mine", "absent"}, others))
	assert.Empty(t, runtimeclass.AliasProblem(nil, others))
	problem := runtimeclass.AliasProblem([]string{"mine", "kata"}, others)
	assert.Contains(t, problem, `RuntimeClass "kata", with handler "kata-oc", exists and was not made by this controller`)
	assert.Contains(t, problem, "take the name out of spec.config.runtimeClassAliases")
	assert.NotContains(t, problem, "mine")
}
