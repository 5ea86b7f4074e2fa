// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Merge lays one table over another, as Kata does with the files in config.d: tables are merged,
// everything else is replaced, arrays as a whole. Values of the upper table may be shared with the
// lower one afterwards.
func Merge(lower, upper map[string]any) {
	for key, value := range upper {
		table, isTable := value.(map[string]any)
		below, wasTable := lower[key].(map[string]any)
		switch {
		case isTable && wasTable:
			Merge(below, table)
		case isTable:
			copied := map[string]any{}
			Merge(copied, table)
			lower[key] = copied
		default:
			lower[key] = value
		}
	}
}

// Configure returns upstream's base configuration with the handler's settings laid over it. What
// the settings do not name keeps its value; comments and the order of keys are lost, as they are
// when a node renders the file.
func (h Handler) Configure(upstream []byte) ([]byte, error) {
	config := map[string]any{}
	if err := toml.Unmarshal(upstream, &config); err != nil {
		return nil, fmt.Errorf("reading upstream's configuration: %w", err)
	}
	if table, missing := missingTable(config, h.Settings); missing {
		return nil, fmt.Errorf("upstream's configuration has no table %q: it is not the one that the profile was made for", table)
	}
	Merge(config, h.Settings)
	out := bytes.NewBufferString("# Kata's own configuration with the settings of the payload's profile; built, not edited by hand.\n")
	if err := toml.NewEncoder(out).Encode(config); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return out.Bytes(), nil
}

// missingTable returns the first table of the upper one that the lower one lacks, with dots.
func missingTable(lower, upper map[string]any) (name string, missing bool) {
	for _, key := range slices.Sorted(maps.Keys(upper)) {
		table, isTable := upper[key].(map[string]any)
		if !isTable {
			continue
		}
		below, found := lower[key].(map[string]any)
		if !found {
			return key, true
		}
		if name, missing := missingTable(below, table); missing {
			return key + "." + name, true
		}
	}
	return "", false
}

// expand returns a copy of a table with {words} filled in, in strings at any depth.
func expand(table map[string]any, words map[string]string) map[string]any {
	out := map[string]any{}
	for key, value := range table {
		out[key] = expandValue(value, words)
	}
	return out
}

func expandValue(value any, words map[string]string) any {
	switch v := value.(type) {
	case string:
		return fill(v, words)
	case map[string]any:
		return expand(v, words)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = expandValue(v[i], words)
		}
		return out
	default:
		return value
	}
}

func fill(text string, words map[string]string) string {
	for word, value := range words {
		text = strings.ReplaceAll(text, "{"+word+"}", value)
	}
	return text
}
