// SPDX-License-Identifier: Apache-2.0

// Package dropin writes and reads the one CRI-O drop-in that the agent owns.
// The drop-in names paths below current and proof only, so that an update never changes it.
package dropin

import (
	"bytes"
	"fmt"
	"path"
	"regexp"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// Stamp is the CRI-O and the boot under which a drop-in was written. A CRI-O of that same invocation has not read it.
type Stamp struct{ Invocation, BootID string }

// vmRoot is where Kata's runtime keeps its state; CRI-O wants it named for every handler of type vm.
const vmRoot = "/run/vc"

type handler struct {
	Path       string `toml:"runtime_path"`
	Type       string `toml:"runtime_type"`
	Root       string `toml:"runtime_root"`
	ConfigPath string `toml:"runtime_config_path"`
	// Privileged containers must not get the host's devices into their guest.
	WithoutHostDevices bool `toml:"privileged_without_host_devices"`
}

// Render returns the drop-in's content. It holds nothing but our own two tables: a later file that repeats a list of somebody else's would replace it.
func Render(s Stamp) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by kata-agent.service, which rewrites and removes it: see kata-node-agent status.\n"+
		"# crio-invocation-id: %s\n# boot-id: %s\n", s.Invocation, s.BootID)
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

// Read returns the stamp of a drop-in and whether the rest is what Render would write.
func Read(content []byte) (s Stamp, ours bool) {
	s = Stamp{Invocation: header(content, "crio-invocation-id"), BootID: header(content, "boot-id")}
	want, err := Render(s)
	return s, err == nil && bytes.Equal(want, content)
}

func header(content []byte, key string) string {
	m := regexp.MustCompile(`(?m)^# ` + key + `: ([0-9a-f-]*)$`).FindSubmatch(content)
	if m == nil {
		return ""
	}
	return string(m[1])
}
