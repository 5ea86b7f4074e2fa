// SPDX-License-Identifier: Apache-2.0

// Package handlers has what CRI-O and Kata read of the agent's handlers: the one drop-in that
// the agent owns in CRI-O's configuration, and the handlers' configuration.toml. It also says where
// the rest of CRI-O's configuration contradicts them.
package handlers

import (
	"bytes"
	"fmt"
	"path"
	"reflect"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// vmRoot is where Kata's runtime keeps its state; CRI-O wants it named for every handler of type
// vm.
const vmRoot = "/run/vc"

type handler struct {
	Path       string `toml:"runtime_path"`
	Type       string `toml:"runtime_type"`
	Root       string `toml:"runtime_root"`
	ConfigPath string `toml:"runtime_config_path"`
	// Privileged containers must not get the host's devices into their guest.
	WithoutHostDevices bool `toml:"privileged_without_host_devices"`
}

// DropIn returns the drop-in's content. It holds nothing but our own tables: a later file that
// repeats another file's list would replace it. It names paths below current and proof only, and
// the handlers of every payload, so that neither an update nor a handler that is named later
// changes it.
func DropIn() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Written by kata-agent.service, which rewrites and removes it: see kata-node-agent status.\n")
	ours := map[string]handler{}
	for _, name := range node.PodHandlers() {
		proof := node.ProofOf(name)
		ours[name], ours[proof] = below(host.CurrentLink, name), below(host.ProofLink, proof)
	}
	tables := map[string]any{"crio": map[string]any{"runtime": map[string]any{"runtimes": ours}}}
	if err := toml.NewEncoder(&b).SetTablesInline(false).Encode(tables); err != nil {
		return nil, fmt.Errorf("rendering drop-in %s: %w", host.DropIn, err)
	}
	return b.Bytes(), nil
}

func below(link, name string) handler {
	dir := path.Join(link, name)
	return handler{
		Path: path.Join(dir, host.Shim), Type: "vm", Root: vmRoot,
		ConfigPath: path.Join(dir, host.Configuration), WithoutHostDevices: true,
	}
}

// Shim returns the program that the drop-in names for a handler of pods.
func Shim(handler string) string { return below(host.CurrentLink, handler).Path }

// SameDropIn reports whether a file means to CRI-O what DropIn writes. Comments, order and spelling
// do not count: a running CRI-O that has read such a file needs no restart for them.
func SameDropIn(content []byte) bool {
	ours, found := runtimesIn(content)
	return ours != nil && reflect.DeepEqual(ours, found)
}

// FormerDropIn reports whether a file has nothing but some of the tables that DropIn writes, as
// that of an older agent does.
func FormerDropIn(content []byte) bool {
	ours, found := runtimesIn(content)
	runtimes := at(found, "crio", "runtime", "runtimes")
	for name, table := range at(ours, "crio", "runtime", "runtimes") {
		if _, there := runtimes[name]; !there && len(runtimes) > 0 {
			runtimes[name] = table
		}
	}
	return ours != nil && reflect.DeepEqual(ours, found)
}

// runtimesIn reads what DropIn writes, and a file next to it; both are nil where that is no TOML.
func runtimesIn(content []byte) (ours, found map[string]any) {
	want, err := DropIn()
	if err != nil || toml.Unmarshal(want, &ours) != nil || toml.Unmarshal(content, &found) != nil {
		return nil, nil
	}
	return ours, found
}

// at returns the table at a path of keys, nil where there is none.
func at(table map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		table, _ = table[key].(map[string]any) //nolint:errcheck // what is no table has none
	}
	return table
}
