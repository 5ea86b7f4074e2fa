// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"testing"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
)

var seeds = decidetest.SeedFlags(100)

// Next to a node that stays broken, every other one is in the end what its KataConfig wants, and no
// step on the way does harm (package decidetest).
func TestEveryClusterComesToItsEnd(t *testing.T) {
	t.Parallel()
	seeds.Every(t, inTime)
}

// The same where an instance that has lost its lease makes its writes all the same.
func TestEveryClusterSurvivesTheWritesOfAFormerLeader(t *testing.T) {
	t.Parallel()
	seeds.Every(t, late)
}

func inTime(t *testing.T, seed uint64) int {
	t.Helper()
	w := newWorld(t, seed, false)
	w.Live()
	return w.Steps
}

func late(t *testing.T, seed uint64) int {
	t.Helper()
	w := newWorld(t, seed, true)
	w.Live()
	return w.Steps
}
