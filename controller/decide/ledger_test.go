// SPDX-License-Identifier: Apache-2.0

package decide_test

import "github.com/kata-node/kata-node/controller/ledger"

// losesLedger deletes or spoils the object, as a person may.
func (w *world) losesLedger(*host) {
	present, found := w.Ledgers.Now[ledger.Name]
	switch {
	case !found:
	case w.rnd.Likely(70):
		w.Ledgers.Remove(ledger.Name)
	default:
		spoiled := present.DeepCopy()
		spoiled.Data = map[string]string{"w0": "{"}
		w.Ledgers.Put(spoiled, w.Next())
	}
}
