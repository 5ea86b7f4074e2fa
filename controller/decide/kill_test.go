// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// An installation, an update and a removal come to their ends whichever write it is at which the
// leader ends, and no write does harm on the way (package decidetest).
func TestALeaderMayEndAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, how := range []string{decidetest.Before, decidetest.After, decidetest.Ambiguous} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for at := 0; ; at += stride() {
				w := newWorld(t, seeds.First(), false)
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

// stride leaves out most writes where few clusters are simulated.
func stride() int {
	if seeds.Count() < 1000 {
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
