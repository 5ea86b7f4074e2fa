// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// A pull that is given up leaves layers to which a later one of the same payload would add.
func TestWhatPullsHaveLeftIsSweptOnceNothingIsToBePulled(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.do = func(context.Context, plan.Step) error { return errRegistry }
	a := w.agent(t)
	swept := 0
	a.Sweep = func() error { swept++; return errRegistry }
	for range 5 {
		a.Pass(t.Context())
		w.now = w.now.Add(time.Hour)
	}
	assert.Zero(t, swept, "the next try continues with them")
	w.facts = serves().facts
	for _, want := range []int{0, 1, 1} {
		a.Pass(t.Context())
		assert.Equal(t, want, swept)
	}
	w.blind = errRegistry
	for range 3 {
		a.Pass(t.Context())
	}
	assert.Equal(t, 1, swept, "not on a host that cannot be observed")
}
