// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestAHeldSlotIsLookedAtSoonAfterAPodEndedAndSeldomLater(t *testing.T) {
	t.Parallel()
	found := Result{Plan: plan.Plan{Phase: node.PhaseInstalled}}
	found.Facts.Slots.All = []plan.Slot{{ID: "old", Holders: []string{"process 7 (containerd-shim-kata-v2)"}}}
	found.Facts.Cluster.BoundPods = []string{"ns/a", "ns/b"}
	var r rests
	looks := func() (total time.Duration) {
		for range 4 {
			total += r.next(found)
		}
		return total
	}
	assert.Equal(t, (2+4+8+16)*time.Second, looks())
	assert.Equal(t, 4*heldLook, looks())
	found.Facts.Cluster.BoundPods = found.Facts.Cluster.BoundPods[:1]
	assert.Equal(t, waitingLook, r.next(found))
}
