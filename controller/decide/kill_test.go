// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// An installation, an update and a removal come to their ends whichever write it is at which the
// leader ends, and no write does harm on the way (package decidetest).
func TestALeaderMayEndAtEveryWrite(t *testing.T) {
	t.Parallel()
	first, count, stride := seeds.First(t), seeds.Count(t), stride(t)
	for seed := first; seed <= first+count/killed; seed++ {
		for _, how := range []string{decidetest.Before, decidetest.After, decidetest.Ambiguous} {
			t.Run(fmt.Sprint("seed ", seed, ": ", how), func(t *testing.T) {
				t.Parallel()
				for at := 0; ; at += stride {
					w := newWorld(t, seed, false)
					w.Kill = &decidetest.Kill{At: at, How: how}
					w.ends()
					if !w.Kill.Done {
						t.Logf("%d writes", at)
						assert.Greater(t, at, 30)
						return
					}
				}
			})
		}
	}
}

// killed is how many seeds there are for each in whose cluster the leader ends at every write.
const killed = 200

// stride leaves out most writes where few clusters are simulated. CI leaves out none.
func stride(t *testing.T) int {
	t.Helper()
	if seeds.Count(t) < killed {
		return 7
	}
	return 1
}

// ends is a life without accidents.
func (w *world) ends() {
	w.T.Helper()
	w.Heal()
	for _, kc := range w.Configs.Now {
		kc.Spec.KataConfigPoolSelector = nil
	}
	w.EndAccidents()
	w.Settle()
	w.Installed()
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name].DeepCopy()
		kc.Generation++
		kc.Spec.Config.PayloadImage = factstest.PayloadB
		w.Configs.Put(kc, w.Next())
	}
	w.Settle()
	w.Installed()
	w.DeleteAll()
	w.Settle()
	w.Removed()
}
