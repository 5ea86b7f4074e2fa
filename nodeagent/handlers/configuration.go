// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/pelletier/go-toml/v2"
)

// rules numbers what is done with a base configuration and the fragments, here and in
// payload/configuration; a change of it makes every slot new.
const rules = "2"

// Fragment is one administrator's file, laid over the base in order of its name.
type Fragment struct {
	Name    string
	Content []byte
}

// Fingerprint covers everything but the payload that Render depends on.
func Fingerprint(fragments []Fragment) string {
	h := sha256.New()
	fmt.Fprintf(h, "rules %s\n", rules)
	for _, f := range fragments {
		fmt.Fprintf(h, "%s %d\n%s\n", f.Name, len(f.Content), f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Render returns the configuration that pods get.
func Render(base []byte, fragments []Fragment) ([]byte, error) {
	config, err := merged(base, fragments)
	if err != nil {
		return nil, err
	}
	return encode(config)
}

// RenderProof returns the same for the proof handler: without a network of its own, as a sandbox
// that no pod stands behind gets none.
func RenderProof(base []byte, fragments []Fragment) ([]byte, error) {
	config, err := merged(base, fragments)
	if err != nil {
		return nil, err
	}
	overlay(config, map[string]any{"runtime": map[string]any{"disable_new_netns": true, "internetworking_model": "none"}})
	return encode(config)
}

func merged(base []byte, fragments []Fragment) (map[string]any, error) {
	config := map[string]any{}
	if err := toml.Unmarshal(base, &config); err != nil {
		return nil, fmt.Errorf("reading the payload's base configuration: %w", err)
	}
	for _, f := range fragments {
		layer := map[string]any{}
		if err := toml.Unmarshal(f.Content, &layer); err != nil {
			return nil, fmt.Errorf("reading configuration fragment %s: %w", f.Name, err)
		}
		overlay(config, layer)
	}
	return config, nil
}

// overlay lays tables over tables; everything else, arrays too, is replaced, as Kata's own config.d
// does.
func overlay(under, over map[string]any) {
	for key, value := range over {
		table, isTable := value.(map[string]any)
		below, wasTable := under[key].(map[string]any)
		if isTable && wasTable {
			below = maps.Clone(below)
			overlay(below, table)
			value = below
		}
		under[key] = value
	}
}

func encode(config map[string]any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Rendered by kata-agent.service: put changes into /etc/kata-agent/config.d.\n")
	if err := toml.NewEncoder(&b).Encode(config); err != nil {
		return nil, fmt.Errorf("writing configuration: %w", err)
	}
	return b.Bytes(), nil
}
