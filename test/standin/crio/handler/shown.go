// SPDX-License-Identifier: Apache-2.0

package handler

import (
	"maps"
	"slices"
)

// Shown is one line of CRI Status.
type Shown struct {
	Name string // empty for the default's second line
	Features
}

// Shown lists what Status reports, sorted by name: each handler, and the default once more under the empty name.
// Being in this list does not make a handler usable.
func (t *Table) Shown() []Shown {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []Shown
	if _, ok := t.shown[t.fallback]; ok {
		lines = append(lines, Shown{Features: t.features[t.fallback]})
	}
	for _, name := range slices.Sorted(maps.Keys(t.shown)) {
		lines = append(lines, Shown{Name: name, Features: t.features[name]})
	}
	return lines
}
