// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
)

func TestHandlersHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	all := node.Handlers()
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), len(all))
	assert.Contains(t, all, node.Handler)
	assert.Contains(t, all, node.ProofHandler)
	assert.Equal(t, node.ProofHandler, node.ProofOf(node.Handler))
	assert.True(t, slices.IsSorted(node.FurtherHandlers()))
	// The label of the RuntimeClasses that are withdrawn has to stay on no node.
	assert.NotContains(t, node.FurtherHandlers(), "withdrawn")
}

func TestHandlersArePartOfTheIdOnlyWhereThereAreAny(t *testing.T) {
	t.Parallel()
	without := installation()
	none := with(func(i *node.Intent) { i.Handlers = []string{} })
	assert.Equal(t, without.ID, none.ID)
	ids := map[string]bool{without.ID: true}
	for _, handlers := range [][]string{{"rs"}, {"debug"}, {"debug", "rs"}} {
		ids[with(func(i *node.Intent) { i.Handlers = handlers }).ID] = true
	}
	assert.Len(t, ids, 4)
}

// What deploy/ names is the same set: the policies would refuse the controller's writes else.
func TestDeploymentNamesEveryHandler(t *testing.T) {
	t.Parallel()
	for file, form := range map[string]func(name string) string{
		"30-policy-nodes.yaml":   func(name string) string { return "'" + node.FurtherLabel(name) + "'" },
		"policy/namespaces.yaml": func(name string) string { return "'" + node.FurtherHandler(name) + "'" },
		"10-crd.yaml":            func(name string) string { return "\n                      - " + name + "\n" },
	} {
		content, err := os.ReadFile("../../deploy/" + file)
		require.NoError(t, err)
		for _, name := range node.FurtherHandlers() {
			assert.Contains(t, string(content), form(name), file)
		}
	}
	policies, err := os.ReadFile("../../deploy/30-policy-nodes.yaml")
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(policies), ".handler in ['"+strings.Join(node.PodHandlers(), "', '")+"']"))
}
