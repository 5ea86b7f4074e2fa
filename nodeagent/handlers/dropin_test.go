// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/handlers"
)

func dropIn(t *testing.T) string {
	t.Helper()
	content, err := handlers.DropIn()
	require.NoError(t, err)
	return string(content)
}

func TestTheDropInIsWrittenAsAgreed(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/60-kata-agent.conf")
	require.NoError(t, err)
	assert.Equal(t, string(want), dropIn(t))
}

func TestADropInIsComparedByItsMeaning(t *testing.T) {
	t.Parallel()
	written := dropIn(t)
	require.True(t, handlers.SameDropIn([]byte(written)))
	for name, content := range map[string]string{
		"a comment more":         "# mine\n" + written + "\n# mine\n",
		"the header deleted":     written[strings.Index(written, "["):],
		"double quotes":          strings.ReplaceAll(written, "'", `"`),
		"without parent tables":  strings.Replace(written, "[crio]\n[crio.runtime]\n[crio.runtime.runtimes]\n", "", 1),
		"of an agent with stamp": "# boot-id: 00\n" + written,
	} {
		assert.NotEqual(t, written, content, name)
		assert.True(t, handlers.SameDropIn([]byte(content)), name)
	}
	for name, content := range map[string]string{
		"empty":          "",
		"no TOML":        written + "x",
		"one value":      strings.Replace(written, `runtime_type = 'vm'`, `runtime_type = 'oci'`, 1),
		"one line more":  written + "log_level = 'debug'\n",
		"one table less": written[:strings.Index(written, "[crio.runtime.runtimes.kata-oc-proof]")],
	} {
		assert.NotEqual(t, written, content, name)
		assert.False(t, handlers.SameDropIn([]byte(content)), name)
	}
}

func TestThePathsOfTheDropInAreNotThoseOfAPayload(t *testing.T) {
	t.Parallel()
	var tables struct {
		CRIO struct {
			Runtime struct {
				Runtimes map[string]struct {
					Path   string `toml:"runtime_path"`
					Config string `toml:"runtime_config_path"`
				} `toml:"runtimes"`
			} `toml:"runtime"`
		} `toml:"crio"`
	}
	require.NoError(t, toml.Unmarshal([]byte(dropIn(t)), &tables))
	assert.Len(t, tables.CRIO.Runtime.Runtimes, 6)
	for handler, link := range map[string]string{
		"kata-oc": "/run/kata-agent/current", "kata-oc-proof": "/run/kata-agent/proof",
		"kata-oc-rs": "/run/kata-agent/current", "kata-oc-rs-proof": "/run/kata-agent/proof",
	} {
		table := tables.CRIO.Runtime.Runtimes[handler]
		assert.Equal(t, path.Join(link, handler), path.Dir(table.Path))
		assert.Equal(t, path.Join(link, handler), path.Dir(table.Config))
	}
}

// CRI-O refuses a handler of type vm whose program has another name: neither a dot nor an
// underscore, and so no version (its pkg/config, ValidateRuntimes).
func TestCRIOAcceptsTheNameOfEachProgram(t *testing.T) {
	t.Parallel()
	paths := regexp.MustCompile(`runtime_path = '(.*)'`).FindAllStringSubmatch(dropIn(t), -1)
	assert.Len(t, paths, 6)
	for _, found := range paths {
		assert.Regexp(t, `^containerd-shim-[a-zA-Z0-9\-\+]+$`, path.Base(found[1]))
	}
}
