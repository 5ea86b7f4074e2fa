// SPDX-License-Identifier: Apache-2.0

package handler

import (
	"encoding/json"
	"maps"
	"slices"
)

// Shown is one line of CRI Status.
type Shown struct {
	Name string // empty for the default's second line
	Features
}

// Shown lists what Status reports, sorted by name: each handler, and the default once more under
// the empty name. Being in this list does not make a handler usable.
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

// Document is what the verbose Status shows of the configuration, as JSON: the part of it that is
// about handlers. Like Shown it follows every reload.
func (t *Table) Document() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	document, err := json.Marshal(map[string]any{"crio": map[string]any{"DefaultRuntime": t.fallback, "Runtimes": t.shown}})
	return string(document), err
}
