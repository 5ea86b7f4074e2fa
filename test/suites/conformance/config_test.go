// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unreadable are the drop-ins that CRI-O cannot decode.
var unreadable = map[string]func(n *node){
	"bad TOML":   func(n *node) { n.dropIn("70-bad", "[crio.runtime\n") },
	"wrong type": func(n *node) { n.dropIn("70-bad", "[crio.runtime.runtimes.kata]\nruntime_path = 5\n") },
	"half-written temp file": func(n *node) {
		n.dropIn(".70-bad.tmp1234", "[crio.runtime.runtimes.kata]\nruntime_pa")
	},
	"dangling symlink": func(n *node) {
		require.NoError(n, os.Symlink("/nowhere", n.path("conf.d/70-bad")))
	},
}

// unusable are the handlers that CRI-O drops with a warning.
var unusable = map[string]string{
	"missing vm path":             vmHandler("kata", "/nowhere/containerd-shim-kata-v2"),
	"missing runtime_path":        "[crio.runtime.runtimes.kata]\nruntime_path = \"/nowhere/runtime\"\n",
	"bad vm binary name":          vmHandler("kata", "/bin/sh"),
	"version in the binary name":  vmHandler("kata", "/nowhere/containerd-shim-kata-v2-3.2.1"),
	"missing runtime_config_path": vmHandler("kata", "SHIM", `runtime_config_path = "/nowhere/configuration.toml"`),
	"unknown allowed annotation":  vmHandler("kata", "SHIM", `allowed_annotations = ["no.such.annotation"]`),
}

// wrongDefaults are default runtimes that CRI-O does not start with.
var wrongDefaults = map[string]string{
	"unknown":           "[crio.runtime]\ndefault_runtime = \"nobody\"\n",
	"with missing path": "[crio.runtime]\ndefault_runtime = \"lost\"\n[crio.runtime.runtimes.lost]\nruntime_path = \"/nowhere/lost\"\n",
}

func TestAnUnreadableDropInRefusesTheStartUntilItIsGone(t *testing.T) {
	t.Parallel()
	for name, spoil := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			spoil(n)
			n.refuses()
			require.NoError(n, os.RemoveAll(n.path("conf.d")))
			n.start()
		})
	}
}

func TestAnUnreadableDropInFailsTheReloadAndKeepsTheTable(t *testing.T) {
	t.Parallel()
	for name, spoil := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.dropIn("60-kata", vmHandler("kata", shimOf("v1")))
			n.start()
			before := n.shown()
			spoil(n)
			_, completed := n.reload()
			assert.False(n, completed)
			assert.Equal(n, before, n.shown())
			assert.Contains(n, before, "kata")
		})
	}
}

func TestAnUnusableHandlerIsIgnoredAtStart(t *testing.T) {
	t.Parallel()
	for name, table := range unusable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.dropIn("60-kata", withShim(table))
			n.start()
			assert.NotContains(n, n.shown(), "kata")
			assert.Contains(n, n.process.log.String(), `Runtime handler \"kata\" is being ignored due to: `)
			_, err := n.tryRun("a", "kata")
			assert.ErrorContains(n, err, "failed to find runtime handler kata from runtime list map[")
		})
	}
}

func TestAnUnusableHandlerLosesItsPlaceInStatusOnReload(t *testing.T) {
	t.Parallel()
	for name, table := range unusable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("v1")))
			n.start()
			n.dropIn("60-kata", withShim(table))
			log, completed := n.reload()
			assert.True(n, completed)
			assert.Contains(n, log, `Runtime handler \"kata\" is being ignored due to: `)
			assert.NotContains(n, n.shown(), "kata")
			n.run("still-starts", "kata")
		})
	}
}

func TestAnUnknownKeyIsAccepted(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn("60-kata", vmHandler("kata", shimOf("v1"), `no_such_key = "x"`)+"[no.such.table]\nx = 1\n")
	n.start()
	assert.Contains(n, n.shown(), "kata")
	_, completed := n.reload()
	assert.True(n, completed)
	assert.Contains(n, n.shown(), "kata")
}

func TestAWrongDefaultRuntimeRefusesTheStart(t *testing.T) {
	t.Parallel()
	for name, table := range wrongDefaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.dropIn("70-default", table)
			n.refuses()
		})
	}
}

func TestAWrongDefaultRuntimeFailsTheReloadUntilTheNextGoodOne(t *testing.T) {
	t.Parallel()
	for name, table := range wrongDefaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.start()
			assert.Contains(n, n.shown(), "")
			n.dropIn("70-default", table)
			_, completed := n.reload()
			assert.False(n, completed)
			if name == "unknown" {
				assert.NotContains(n, n.shown(), "")
			}
			n.removeDropIn("70-default")
			_, completed = n.reload()
			assert.True(n, completed)
			assert.Contains(n, n.shown(), "")
		})
	}
}

func TestEveryRegularFileIsReadInLexicalOrderAndTheLastWinsWhole(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn(".hidden", vmHandler("hidden", shimOf("v1")))
	n.dropIn("50-backup.bak~", vmHandler("backup", shimOf("v1")))
	n.dropIn("sub/dir/no-suffix", vmHandler("nested", shimOf("v1")))
	n.dropIn("60-a", vmHandler("kata", shimOf("v1"), `runtime_config_path = "/nowhere"`))
	n.dropIn("61-b", vmHandler("kata", shimOf("v1")))
	n.start()
	shown := n.shown()
	for _, want := range []string{"hidden", "backup", "nested", "kata"} {
		assert.Contains(n, shown, want)
	}
}

func TestTheConfigCommandOnlyDecodes(t *testing.T) {
	t.Parallel()
	for name, spoil := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			spoil(n)
			assert.Error(n, n.command("config").Run())
		})
	}
	for name, table := range unusable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.dropIn("60-kata", withShim(table))
			assert.NoError(n, n.command("config").Run())
		})
	}
}

// withShim fills in the path of a shim that exists; the tables above are made before any is built.
func withShim(table string) string { return strings.ReplaceAll(table, "SHIM", shimOf("v1")) }

func TestEveryHandlersBinaryIsAskedForItsVersionAtStart(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	script := write(n, n.path("silent/containerd-shim-kata-v2"), "#!/bin/sh\necho \"$@\" >> "+n.path("asked")+"\nexit 1\n")
	require.NoError(n, os.Chmod(script, 0o755))
	n.dropIn("60-kata", vmHandler("kata", script))
	n.start()
	asked, err := os.ReadFile(n.path("asked"))
	require.NoError(n, err)
	assert.Equal(n, "--version\n", string(asked))
	assert.Contains(n, n.shown(), "kata", "a binary that fails is no reason to drop its handler")
}
