// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unreadable are the drop-ins that CRI-O cannot decode.
var unreadable = map[string]func(t *testing.T, n *node){
	"bad TOML":   func(t *testing.T, n *node) { n.dropIn(t, "70-bad", "[crio.runtime\n") },
	"wrong type": func(t *testing.T, n *node) { n.dropIn(t, "70-bad", "[crio.runtime.runtimes.kata]\nruntime_path = 5\n") },
	"half-written temp file": func(t *testing.T, n *node) {
		n.dropIn(t, ".70-bad.tmp1234", "[crio.runtime.runtimes.kata]\nruntime_pa")
	},
	"dangling symlink": func(t *testing.T, n *node) {
		require.NoError(t, os.Symlink("/nowhere", n.path("conf.d/70-bad")))
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
			each(t, func(t *testing.T, n *node) {
				spoil(t, n)
				n.refuses(t)
				require.NoError(t, os.RemoveAll(n.path("conf.d")))
				n.start(t)
			})
		})
	}
}

func TestAnUnreadableDropInFailsTheReloadAndKeepsTheTable(t *testing.T) {
	t.Parallel()
	for name, spoil := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, n *node) {
				n.dropIn(t, "60-kata", vmHandler("kata", shimOf("v1")))
				n.start(t)
				before := n.shown(t)
				spoil(t, n)
				_, completed := n.reload(t)
				assert.False(t, completed)
				assert.Equal(t, before, n.shown(t))
				assert.Contains(t, before, "kata")
			})
		})
	}
}

func TestAnUnusableHandlerIsIgnoredAtStart(t *testing.T) {
	t.Parallel()
	for name, table := range unusable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, n *node) {
				n.dropIn(t, "60-kata", withShim(table))
				n.start(t)
				assert.NotContains(t, n.shown(t), "kata")
				assert.Contains(t, n.process.log.String(), `Runtime handler \"kata\" is being ignored due to: `)
				_, err := n.tryRun(t, "a", "kata")
				assert.ErrorContains(t, err, "failed to find runtime handler kata from runtime list map[")
			})
		})
	}
}

func TestAnUnusableHandlerLosesItsPlaceInStatusOnReload(t *testing.T) {
	t.Parallel()
	for name, table := range unusable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needRoot(t)
			each(t, func(t *testing.T, n *node) {
				n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", shimOf("v1")))
				n.start(t)
				n.dropIn(t, "60-kata", withShim(table))
				log, completed := n.reload(t)
				assert.True(t, completed)
				assert.Contains(t, log, `Runtime handler \"kata\" is being ignored due to: `)
				assert.NotContains(t, n.shown(t), "kata")
				n.run(t, "still-starts", "kata")
			})
		})
	}
}

func TestAnUnknownKeyIsAccepted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, n *node) {
		n.dropIn(t, "60-kata", vmHandler("kata", shimOf("v1"), `no_such_key = "x"`)+"[no.such.table]\nx = 1\n")
		n.start(t)
		assert.Contains(t, n.shown(t), "kata")
		_, completed := n.reload(t)
		assert.True(t, completed)
		assert.Contains(t, n.shown(t), "kata")
	})
}

func TestAWrongDefaultRuntimeRefusesTheStart(t *testing.T) {
	t.Parallel()
	for name, table := range wrongDefaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, n *node) {
				n.dropIn(t, "70-default", table)
				n.refuses(t)
			})
		})
	}
}

func TestAWrongDefaultRuntimeFailsTheReloadUntilTheNextGoodOne(t *testing.T) {
	t.Parallel()
	for name, table := range wrongDefaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, n *node) {
				n.start(t)
				assert.Contains(t, n.shown(t), "")
				n.dropIn(t, "70-default", table)
				_, completed := n.reload(t)
				assert.False(t, completed)
				if name == "unknown" {
					assert.NotContains(t, n.shown(t), "")
				}
				n.removeDropIn(t, "70-default")
				_, completed = n.reload(t)
				assert.True(t, completed)
				assert.Contains(t, n.shown(t), "")
			})
		})
	}
}

func TestEveryRegularFileIsReadInLexicalOrderAndTheLastWinsWhole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, n *node) {
		n.dropIn(t, ".hidden", vmHandler("hidden", shimOf("v1")))
		n.dropIn(t, "50-backup.bak~", vmHandler("backup", shimOf("v1")))
		n.dropIn(t, "sub/dir/no-suffix", vmHandler("nested", shimOf("v1")))
		n.dropIn(t, "60-a", vmHandler("kata", shimOf("v1"), `runtime_config_path = "/nowhere"`))
		n.dropIn(t, "61-b", vmHandler("kata", shimOf("v1")))
		n.start(t)
		shown := n.shown(t)
		for _, want := range []string{"hidden", "backup", "nested", "kata"} {
			assert.Contains(t, shown, want)
		}
	})
}

func TestTheConfigCommandOnlyDecodes(t *testing.T) {
	t.Parallel()
	for name, spoil := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, n *node) {
				spoil(t, n)
				assert.Error(t, n.command("config").Run())
			})
		})
	}
	for name, table := range unusable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, n *node) {
				n.dropIn(t, "60-kata", withShim(table))
				assert.NoError(t, n.command("config").Run())
			})
		})
	}
}

// withShim fills in the path of a shim that exists; the tables above are made before any is built.
func withShim(table string) string { return strings.ReplaceAll(table, "SHIM", shimOf("v1")) }

func TestItAnswersSoonAfterItsStart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, n *node) {
		begin := time.Now()
		n.start(t)
		took := time.Since(begin)
		t.Logf("answered after %s", took.Round(time.Millisecond))
		assert.Less(t, took, 15*time.Second)
	})
}

func TestEveryHandlersBinaryIsAskedForItsVersionAtStart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, n *node) {
		script := write(t, n.path("silent/containerd-shim-kata-v2"), "#!/bin/sh\necho \"$@\" >> "+n.path("asked")+"\nexit 1\n")
		require.NoError(t, os.Chmod(script, 0o755))
		n.dropIn(t, "60-kata", vmHandler("kata", script))
		n.start(t)
		asked, err := os.ReadFile(n.path("asked"))
		require.NoError(t, err)
		assert.Equal(t, "--version\n", string(asked))
		assert.Contains(t, n.shown(t), "kata", "a binary that fails is no reason to drop its handler")
	})
}
