// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/internal/testenv"
)

// Seeds are how many random lives a test simulates, unless SEEDS says it.
type Seeds uint64

// First is the first seed, FIRST_SEED: with SEEDS=1 the only one, with its story where it fails.
func (s Seeds) First(t *testing.T) uint64 {
	t.Helper()
	return testenv.Number[uint64](t, "FIRST_SEED", 1)
}

// Count is how many seeds there are.
func (s Seeds) Count(t *testing.T) uint64 {
	t.Helper()
	return testenv.Number(t, "SEEDS", uint64(s))
}

// Every simulates a life for each seed, so many at once as there are processors. It returns when
// all have ended, also where some have failed. Where they take fewer steps than STEPS the test
// fails.
func (s Seeds) Every(t *testing.T, live func(t *testing.T, seed uint64) (steps int)) {
	t.Helper()
	first, count, least := s.First(t), s.Count(t), testenv.Number[int64](t, "STEPS", 0)
	var started atomic.Uint64
	var steps atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d steps in %d lives", steps.Load(), count)
		assert.GreaterOrEqual(t, steps.Load(), least)
	})
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for i := started.Add(1); i <= count; i = started.Add(1) {
				seed := first + i - 1
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { steps.Add(int64(live(t, seed))) })
			}
		})
	}
}
