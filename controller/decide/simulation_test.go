// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"testing"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
)

var seeds = decidetest.SeedFlags(100)

// Beside a node that is broken for ever, every other one is in the end what its KataConfig wants,
// and no step on the way does harm (package decidetest).
func TestEveryClusterComesToItsEnd(t *testing.T) {
	t.Parallel()
	seeds.Every(t, func(t *testing.T, seed uint64) int { return lives(t, seed, false) })
}

// The same where an instance that has lost its lease makes its writes all the same.
func TestEveryClusterSurvivesTheWritesOfAFormerLeader(t *testing.T) {
	t.Parallel()
	seeds.Every(t, func(t *testing.T, seed uint64) int { return lives(t, seed, true) })
}

func lives(t *testing.T, seed uint64, late bool) int {
	t.Helper()
	w := newWorld(t, seed, late)
	w.Live()
	return w.Steps
}
