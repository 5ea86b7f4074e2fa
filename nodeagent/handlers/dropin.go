// SPDX-License-Identifier: Apache-2.0

// Package handlers has what CRI-O and Kata read of the agent's two handlers: the one drop-in that
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

// DropIn returns the drop-in's content. It holds nothing but our own two tables: a later file that
// repeats another file's list would replace it. It names paths below current and proof only, so
// that an update never changes it.
func DropIn() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Written by kata-agent.service, which rewrites and removes it: see kata-node-agent status.\n")
	tables := map[string]any{"crio": map[string]any{"runtime": map[string]any{"runtimes": map[string]handler{
		node.Handler:      below(host.CurrentLink, node.Handler),
		node.ProofHandler: below(host.ProofLink, node.ProofHandler),
	}}}}
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

// Shim returns the program that the drop-in names for the pods' handler.
func Shim() string { return below(host.CurrentLink, node.Handler).Path }

// SameDropIn reports whether a file means to CRI-O what DropIn writes. Comments, order and spelling
// do not count: a running CRI-O that has read such a file needs no restart for them.
func SameDropIn(content []byte) bool {
	want, err := DropIn()
	if err != nil {
		return false
	}
	var ours, found map[string]any
	if toml.Unmarshal(want, &ours) != nil || toml.Unmarshal(content, &found) != nil {
		return false
	}
	return reflect.DeepEqual(ours, found)
}
