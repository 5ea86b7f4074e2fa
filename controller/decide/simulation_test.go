// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
)

const seeds decidetest.Seeds = 100

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

// Otherwise no failure could be replayed from its seed.
func TestALifeIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		var ends []end
		for range 2 {
			w := newWorld(t, seeds.First(t)+seed, true)
			w.Live()
			ends = append(ends, end{w.Steps, w.Next(), w.Uint64()})
		}
		assert.Equal(t, ends[0], ends[1], "seed %d", seeds.First(t)+seed)
	}
}

// end is where a life has come to: its steps, how many versions of objects there were, and the next
// thing to happen by chance.
type end struct {
	steps   int
	version string
	chance  uint64
}
