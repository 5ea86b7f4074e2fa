// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"testing"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// An installation, an update and a removal come to their ends whichever write it is at which the
// leader ends, and no write does harm on the way (package decidetest).
func TestALeaderMayEndAtEveryWrite(t *testing.T) {
	t.Parallel()
	seeds.EveryWrite(t, func(t *testing.T, kill *decidetest.Kill) {
		t.Helper()
		newWorld(t, seeds.First(), false).LiveOrderly(kill, factstest.PayloadB)
	})
}
