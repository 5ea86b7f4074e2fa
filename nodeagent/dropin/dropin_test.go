// SPDX-License-Identifier: Apache-2.0

package dropin_test

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/dropin"
)

func stamp() dropin.Stamp {
	return dropin.Stamp{Invocation: "5d0c9a4f7c3e4b0e8f1d2c3b4a596877", BootID: "1f0f9a2e-6a7b-4c8d-9e0f-112233445566"}
}

func rendered(t *testing.T, s dropin.Stamp) []byte {
	t.Helper()
	content, err := dropin.Render(s)
	require.NoError(t, err)
	return content
}

func TestDropInIsWrittenAsAgreed(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/60-kata-agent.conf")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(rendered(t, stamp())))
}

func TestDropInIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]dropin.Stamp{"with a CRI-O": stamp(), "before CRI-O ever ran": {BootID: stamp().BootID}} {
		read, ours := dropin.Read(rendered(t, s))
		assert.True(t, ours, name)
		assert.Equal(t, s, read, name)
	}
}

func TestForeignChangeOfTheDropInIsNoticed(t *testing.T) {
	t.Parallel()
	written := string(rendered(t, stamp()))
	for name, content := range map[string]string{
		"empty":            "",
		"one value":        strings.Replace(written, `runtime_type = 'vm'`, `runtime_type = 'oci'`, 1),
		"one line more":    written + "log_level = 'debug'\n",
		"the header gone":  written[strings.Index(written, "["):],
		"a stamp repeated": "# boot-id: 00\n" + written,
	} {
		require.NotEqual(t, written, content, name)
		_, ours := dropin.Read([]byte(content))
		assert.False(t, ours, name)
	}
}

func TestStampIsReadFromADropInThatSomebodyChanged(t *testing.T) {
	t.Parallel()
	read, ours := dropin.Read(append(rendered(t, stamp()), "# mine\n"...))
	assert.False(t, ours)
	assert.Equal(t, stamp(), read)
}

// CRI-O validates handlers of type vm by the program's base name (pkg/config/config.go), and drops those that do not fit.
func TestDropInHoldsTwoHandlersThatCRIOAcceptsAndNothingElse(t *testing.T) {
	t.Parallel()
	var content map[string]map[string]map[string]map[string]map[string]any
	require.NoError(t, toml.Unmarshal(rendered(t, stamp()), &content))
	require.Len(t, content, 1)
	require.Len(t, content["crio"], 1)
	require.Len(t, content["crio"]["runtime"], 1)
	handlers := content["crio"]["runtime"]["runtimes"]
	require.Len(t, handlers, 2)
	for name, link := range map[string]string{"kata-oc": "/run/kata-agent/current", "kata-oc-proof": "/run/kata-agent/proof"} {
		shim, isText := handlers[name]["runtime_path"].(string)
		require.True(t, isText, name)
		assert.Regexp(t, `^containerd-shim-[a-zA-Z0-9\-\+]+$`, path.Base(shim))
		assert.Equal(t, link+"/"+name, path.Dir(shim))
	}
}
