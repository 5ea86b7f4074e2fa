// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Uint64("seeds", 20, "how many random lives of a cluster to simulate")
	only  = flag.Uint64("seed", 0, "the one life to simulate, with its story where it fails")
)

const (
	stormy = 60  // rounds with accidents
	calmed = 400 // rounds without, in which everything has to come to an end
	rest   = 6   // rounds without any change; together they are longer than every deadline
)

// Whatever happened before: once the accidents are over, every node that is not broken is what its
// KataConfig wants, and a removal leaves nothing. Both halves are the real ones: the agent with its
// passes, plans and steps, on a host for tests, and the controller's decisions and caches. No step
// on the way does harm (harm_test.go).
func TestEveryLifeComesToItsEnd(t *testing.T) {
	t.Parallel()
	if *only != 0 {
		newLife(t, *only, true).live()
		return
	}
	var steps atomic.Int64
	t.Cleanup(func() { t.Logf("%d steps in %d lives", steps.Load(), *seeds) })
	workers := uint64(runtime.GOMAXPROCS(0))
	for worker := range workers {
		t.Run(fmt.Sprint("worker ", worker), func(t *testing.T) {
			t.Parallel()
			for seed := 1 + worker; seed <= *seeds; seed += workers {
				w := newLife(t, seed, false)
				w.live()
				w.ends()
				steps.Add(int64(w.steps))
			}
		})
	}
}

// ends deletes the files of a life: thousands of them follow each other.
func (w *life) ends() {
	for _, r := range w.nodes {
		r.discards()
	}
}
