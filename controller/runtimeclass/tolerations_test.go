// SPDX-License-Identifier: Apache-2.0

package runtimeclass_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/selection"
)

func tolerates(tolerations ...corev1.Toleration) Change {
	return func(c *facts.Config) { c.Tolerations = tolerations }
}

func taint(key string, seconds ...int64) corev1.Toleration {
	t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
	for _, s := range seconds {
		t.TolerationSeconds = &s
	}
	return t
}

func TestTolerationsAreThoseOfEveryKataConfigOnceAndInOrder(t *testing.T) {
	t.Parallel()
	configs := []facts.Config{
		Config("a", tolerates(taint("y", 10), taint("x"))),
		Config("b", tolerates(taint("x"), taint("y", 10), taint("y", 5), taint("y"))),
		Config("refused", tolerates(taint("z")), func(c *facts.Config) { c.Refused = &facts.Refusal{Reason: facts.ReasonNoPayload} }),
		Config("not accepted yet", tolerates(taint("never")), func(c *facts.Config) { c.Accepted = false }),
		Config("removed", tolerates(taint("never")), Deleted),
	}
	want := []corev1.Toleration{taint("x"), taint("y"), taint("y", 5), taint("y", 10), taint("z")}
	for range len(configs) {
		configs = append(configs[1:], configs[0])
		assert.Equal(t, want, runtimeclass.Tolerations(selection.Divide(configs, nil).Pools))
	}
}

func TestTolerationsStayUntilTheLastNodeOfAKataConfigIsClean(t *testing.T) {
	t.Parallel()
	c, going := Config("c", tolerates(taint("x"))), Config("c", tolerates(taint("x")), Deleted)
	class := desired([]facts.Config{going}, Worker("w", Done(c)))
	assert.Equal(t, []corev1.Toleration{taint("x")}, class.Scheduling.Tolerations)
}

func TestADifferentOrderOfTolerationsIsRepairedAndNoneIsLikeAnEmptyList(t *testing.T) {
	t.Parallel()
	want := desired([]facts.Config{Config("c", tolerates(taint("x"), taint("y")))})
	existing := want.DeepCopy()
	slices.Reverse(existing.Scheduling.Tolerations)
	assert.False(t, runtimeclass.Same(existing, want))
	assert.True(t, runtimeclass.Same(runtimeclass.Merge(existing, want), want))

	none := desired([]facts.Config{Config("c")})
	existing = none.DeepCopy()
	existing.Scheduling.Tolerations = []corev1.Toleration{}
	assert.True(t, runtimeclass.Same(existing, none))
}
