// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// rules numbers what is done with a base configuration, the host's files and the fragments, here
// and in payload/configuration; a change of it makes every slot new.
const rules = "4"

// Fragment is one administrator's file, laid over the base in order of its name.
type Fragment struct {
	Name    string
	Content []byte
}

// Fingerprint covers everything but the payload and the host's files that Source depends on. The
// host's files are left out: they move only with an update of the OS, and slots end at a boot.
func Fingerprint(fragments []Fragment) string {
	h := sha256.New()
	fmt.Fprintf(h, "rules %s\n", rules)
	for _, f := range fragments {
		fmt.Fprintf(h, "%s %d\n%s\n", f.Name, len(f.Content), f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Source is what a configuration is made of, each part laid over those before it: the payload's
// base, what this host gives to the payload, the agent's own choices, the administrators' files.
// Last come kernel parameters that the host asks for.
type Source struct {
	Base      []byte
	Paths     Paths
	Fragments []Fragment
	// FIPS is whether the host's kernel runs in FIPS mode.
	FIPS bool
}

// Render returns the configuration that pods get.
func (s Source) Render() ([]byte, error) {
	config, err := s.merged()
	if err != nil {
		return nil, err
	}
	return encode(config)
}

// RenderProof returns the same for the proof handler: without a network of its own, as a sandbox
// that no pod stands behind gets none.
func (s Source) RenderProof() ([]byte, error) {
	config, err := s.merged()
	if err != nil {
		return nil, err
	}
	overlay(config, map[string]any{"runtime": map[string]any{"disable_new_netns": true, "internetworking_model": "none"}})
	return encode(config)
}

func (s Source) merged() (map[string]any, error) {
	config := map[string]any{}
	if err := toml.Unmarshal(s.Base, &config); err != nil {
		return nil, fmt.Errorf("reading the payload's base configuration: %w", err)
	}
	overlay(config, s.Paths.layer(config))
	overlay(config, choices(config))
	for _, f := range s.Fragments {
		layer := map[string]any{}
		if err := toml.Unmarshal(f.Content, &layer); err != nil {
			return nil, fmt.Errorf("reading configuration fragment %s: %w", f.Name, err)
		}
		overlay(config, layer)
	}
	if s.FIPS {
		for _, table := range hypervisors(config) {
			table[kernelParameters] = inFIPSMode(table[kernelParameters])
		}
	}
	return config, nil
}

// kernelParameters is the key of a guest's kernel parameters, in both dialects.
const kernelParameters = "kernel_params"

// inFIPSMode lets a guest's kernel run in FIPS mode, as its host's does, unless a payload or an
// administrator has decided about it. Kata's Go shim adds the parameter too (checkForFIPS in
// src/runtime/pkg/katautils of Kata 4.1); runtime-rs does not. The kernel takes it twice.
func inFIPSMode(parameters any) any {
	text, isText := parameters.(string)
	if parameters != nil && !isText {
		return parameters // Kata says what is wrong with it.
	}
	words := strings.Fields(text)
	if slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, "fips=") }) {
		return parameters
	}
	return strings.Join(append(words, "fips=1"), " ")
}

// choices are the agent's own. A pod's annotations change nothing of its VM unless an administrator
// allows it, and all of a VM is accounted to its pod, as the overhead of the RuntimeClass says.
func choices(config map[string]any) map[string]any {
	layer := map[string]any{"runtime": map[string]any{"sandbox_cgroup_only": true}}
	if tables := hypervisors(config); len(tables) > 0 {
		closed := map[string]any{}
		for name := range tables {
			closed[name] = map[string]any{"enable_annotations": []any{}}
		}
		layer["hypervisor"] = closed
	}
	return layer
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
	b.WriteString("# Rendered by kata-agent.service: put changes into " + host.ConfigDir + ".\n")
	if err := toml.NewEncoder(&b).Encode(config); err != nil {
		return nil, fmt.Errorf("writing configuration: %w", err)
	}
	return b.Bytes(), nil
}
