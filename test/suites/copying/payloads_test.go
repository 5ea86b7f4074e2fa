// SPDX-License-Identifier: Apache-2.0

package copying_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/kata-node/kata-node/internal/sample"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fixture"
)

// payload is one content, published for each way.
type payload struct {
	// agents has a layer for each component, copied one gzip layer.
	agents, copied string
}

// payloads are a first one, and two updates of 15 MB, 5 % of it.
type payloads struct{ first, top, lowest payload }

// In a payload of 300 MB, topFile is in the top layer and lowestDir is the lowest one.
const (
	topFile   = "opt/kata/bin/kata-monitor"
	lowestDir = "opt/kata/share/kata-qemu/qemu"
	// mark is a file that only our payloads have.
	mark = "opt/kata/bin/kata-runtime"
)

func lowestFile(i int) string { return filepath.Join(lowestDir, fmt.Sprintf("firmware-%d.bin", i)) }

func files() map[string]int {
	files := map[string]int{
		"opt/kata/share/kata-containers/kata-containers.img": 140_000_000,
		"opt/kata/share/kata-containers/vmlinuz":             10_000_000,
		"opt/kata/bin/qemu-system-x86_64":                    65_000_000,
		"opt/kata/libexec/virtiofsd":                         8_000_000,
		mark:                                                 27_000_000,
		topFile:                                              15_000_000,
	}
	for i := range 40 {
		files[lowestFile(i)] = 375_000
	}
	return files
}

func components() []assemble.Component {
	return []assemble.Component{
		{Name: "firmware", Paths: []string{lowestDir}},
		{Name: "tools", Paths: []string{mark}},
		{Name: "vmm", Paths: []string{"opt/kata/bin/qemu*", "opt/kata/libexec"}},
		{Name: "guest", Paths: []string{"opt/kata/share/kata-containers"}},
		{Name: "shim", Paths: []string{"usr/bin"}},
		{Name: "top"},
	}
}

func publish(b *testing.B, c *fixture.Cluster) payloads {
	b.Helper()
	lowest := map[string]string{}
	for i := range 40 {
		lowest[lowestFile(i)] = "2"
	}
	content := sample.Open(b)
	both := func(version string, changed map[string]string) payload {
		return payload{
			agents: push(b, c, content, version, changed, assemble.ZstdChunked, components()),
			copied: push(b, c, content, version, changed, assemble.Gzip, []assemble.Component{{Name: "all"}}),
		}
	}
	return payloads{both("1", nil), both("2", map[string]string{topFile: "2"}), both("3", lowest)}
}

// push publishes the content. The shim is the same in all of them.
func push(b *testing.B, c *fixture.Cluster, content sample.Source, version string, changed map[string]string, compression assemble.Compression, components []assemble.Component) string {
	b.Helper()
	name, err := c.Push(b.Context(), fixture.Payload{
		Version: "1.0.0", Compression: compression,
		Stage: func(tree string, d *assemble.Description) error {
			content.Write(b, tree, files(), changed)
			d.Version, d.Components = version, components
			return nil
		},
	})
	require.NoError(b, err)
	return name
}
