// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Seeds are which lives a test simulates, as its flags say.
type Seeds struct {
	count, first *uint64
	least        *int64
}

// SeedFlags adds the flags to those of the test's program; count is how many lives there are
// without them.
func SeedFlags(count uint64) Seeds {
	return Seeds{
		count: flag.Uint64("seeds", count, "how many random lives of a cluster to simulate"),
		first: flag.Uint64("first-seed", 1, "the first of them: with -seeds=1, the only one, with its story where it fails"),
		least: flag.Int64("steps", 0, "fail where the lives of a test take fewer steps"),
	}
}

// First is the first seed.
func (s Seeds) First() uint64 { return *s.first }

// Count is how many seeds there are.
func (s Seeds) Count() uint64 { return *s.count }

// Every simulates a life for each seed, so many at once as there are processors. It returns when
// all have ended, also where some have failed.
func (s Seeds) Every(t *testing.T, live func(t *testing.T, seed uint64) (steps int)) {
	t.Helper()
	var started atomic.Uint64
	var steps atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d steps in %d lives", steps.Load(), *s.count)
		assert.GreaterOrEqual(t, steps.Load(), *s.least)
	})
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for i := started.Add(1); i <= *s.count; i = started.Add(1) {
				seed := *s.first + i - 1
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { steps.Add(int64(live(t, seed))) })
			}
		})
	}
}
