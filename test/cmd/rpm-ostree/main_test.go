// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPackagesAreLayeredAppliedReplacedAndTakenAway(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	one, two := n.rpm(t, "a-1-1.x86_64", "/usr/bin/a"), n.rpm(t, "a-2-1.x86_64", "/usr/bin/a")
	require.NoError(t, n.Layer(t.Context(), host.Layering{Install: []string{one}}))
	assert.Equal(t, []string{"a-1-1.x86_64"}, next(t, n.now(t)).Local)
	assert.NoFileExists(t, filepath.Join(n.root, "usr/bin/a"), "it is for the next boot")
	require.NoError(t, n.ApplyLive(t.Context()))
	running, _ := n.now(t).Booted()
	assert.Equal(t, next(t, n.now(t)).Checksum, running.LiveReplaced)
	assert.FileExists(t, filepath.Join(n.root, "usr/bin/a"))
	n.run(t, "boot")
	require.NoError(t, n.Layer(t.Context(), host.Layering{Install: []string{one}}), "it is there already")
	_, pending := n.now(t).Pending()
	assert.False(t, pending)

	n.refused(t, host.OstreeConflict, "cannot install both", n.Layer(t.Context(), host.Layering{Install: []string{two}}))
	require.NoError(t, n.Layer(t.Context(), host.Layering{Install: []string{two}, Uninstall: []string{"a"}}))
	n.refused(t, host.OstreeLiveRefused, "packages would be removed: 1", n.ApplyLive(t.Context()))
	n.run(t, "boot")
	content, err := os.ReadFile(filepath.Join(n.root, "usr/bin/a"))
	require.NoError(t, err)
	assert.Equal(t, "a-2-1.x86_64", string(content))
	require.NoError(t, n.Layer(t.Context(), host.Layering{Uninstall: []string{"a"}}))
	n.run(t, "boot")
	assert.NoFileExists(t, filepath.Join(n.root, "usr/bin/a"))
}

func TestWhatTheSystemRefuses(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	a := host.Layering{Install: []string{n.rpm(t, "a-1-1.x86_64", "/usr/bin/a")}}
	n.put(t, "etc/rpm-ostreed.conf", "[Daemon]\nLockLayering=true\n")
	n.refused(t, host.OstreeLocked, "LockLayering=true", n.Layer(t.Context(), a))
	n.delete(t, "etc/rpm-ostreed.conf")
	n.refused(t, host.OstreeNotFound, "Packages not found: kata-containers", n.Layer(t.Context(), host.Layering{Install: []string{"kata-containers"}}))
	n.refused(t, host.OstreeLiveRefused, "No target commit specified", n.ApplyLive(t.Context()))

	n.put(t, "var/lib/rpm-ostree/state.json", `{"deployments":[{"base":"b","booted":true,"has":["a-1-1.x86_64","b-libs-1-1.x86_64"]}]}`)
	require.NoError(t, n.Layer(t.Context(), a), "the base has it")
	n.refused(t, host.OstreeConflict, "Forbidden base package replacements", n.Layer(t.Context(), host.Layering{Install: []string{n.rpm(t, "b-libs-2-1.x86_64", "/usr/lib/b")}}))
	require.NoError(t, n.Layer(t.Context(), host.Layering{Install: []string{n.rpm(t, "b-2-1.x86_64", "/usr/lib/b")}}), "another name")

	n.put(t, "var/lib/rpm-ostree/state.json", `{"deployments":[{"base":"b","booted":true,"unlocked":"hotfix"}]}`)
	require.NoError(t, n.Layer(t.Context(), a))
	n.refused(t, host.OstreeLiveRefused, "incompatible with unlock state", n.ApplyLive(t.Context()))
}

// A file below a file cannot be written: the live application ends in the middle.
func TestAnInterruptedLiveApplicationAcceptsNoOtherTarget(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	require.NoError(t, n.Layer(t.Context(), host.Layering{Install: []string{n.rpm(t, "a-1-1.x86_64", "/run/ostree-booted/a")}}))
	require.Error(t, n.ApplyLive(t.Context()))
	running, _ := n.now(t).Booted()
	assert.Equal(t, next(t, n.now(t)).Checksum, running.LiveInProgress)
	require.NoError(t, n.Layer(t.Context(), host.Layering{Install: []string{n.rpm(t, "b-1-1.x86_64", "/usr/bin/b")}, Uninstall: []string{"a"}}))
	n.refused(t, host.OstreeLiveRefused, "Previously interrupted while targeting commit "+running.LiveInProgress, n.ApplyLive(t.Context()))
	n.run(t, "boot")
	running, _ = n.now(t).Booted()
	assert.Empty(t, running.LiveInProgress)
	assert.Equal(t, []string{"b-1-1.x86_64"}, running.Local)
}

func TestOneTransactionAtATimeAndTheSameCallJoins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	a := host.Layering{Install: []string{n.rpm(t, "a-1-1.x86_64", "/usr/bin/a")}}
	n.put(t, hold, "")
	client := n.command("upgrade")
	require.NoError(t, client.Start())
	require.Eventually(t, func() bool { return n.now(t).Transaction != nil }, time.Minute, 10*time.Millisecond)
	assert.Equal(t, "upgrade", n.now(t).Transaction.Method)
	n.refused(t, host.OstreeBusy, "rpm-ostree works on upgrade", n.Layer(t.Context(), a))
	out, err := n.command("install", a.Install[0]).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "Code26: Transaction in progress: upgrade\n You can cancel the current transaction with `rpm-ostree cancel`")

	joined := n.command("upgrade")
	words, err := joined.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, joined.Start())
	line := make([]byte, len("Attaching to existing transaction: upgrade"))
	_, err = words.Read(line)
	require.NoError(t, err)
	assert.Equal(t, "Attaching to existing transaction: upgrade", string(line))
	n.delete(t, hold)
	require.NoError(t, joined.Wait())
	require.NoError(t, client.Wait())
	assert.Equal(t, "44.2", next(t, n.now(t)).Version)
	assert.Equal(t, "No active transaction.\n", n.run(t, "cancel"))
}

// What another program such as bootc does to the system is no transaction of rpm-ostree.
func TestASystemThatAnotherProgramHoldsIsBusy(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.put(t, "ostree/lock", "")
	lock, err := os.Open(filepath.Join(n.root, "ostree/lock"))
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	a := host.Layering{Install: []string{n.rpm(t, "a-1-1.x86_64", "/usr/bin/a")}}
	n.refused(t, host.OstreeBusy, "System transaction in progress", n.Layer(t.Context(), a))
	assert.Nil(t, n.now(t).Transaction)
	require.NoError(t, lock.Close())
	require.NoError(t, n.Layer(t.Context(), a))
}

func TestATransactionContinuesWithoutItsClient(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.put(t, hold, "")
	client := n.command("install", n.rpm(t, "a-1-1.x86_64", "/usr/bin/a"))
	require.NoError(t, client.Start())
	require.Eventually(t, func() bool { return n.now(t).Transaction != nil }, time.Minute, 10*time.Millisecond)
	require.NoError(t, client.Process.Kill())
	require.Error(t, client.Wait())
	assert.NotNil(t, n.now(t).Transaction)
	n.delete(t, hold)
	require.Eventually(t, func() bool { return n.now(t).Transaction == nil }, time.Minute, 10*time.Millisecond)
	assert.Equal(t, []string{"a-1-1.x86_64"}, next(t, n.now(t)).Local)
}

// Zincati stages an update that it lets boot later. A change on top of it would unlock it.
func TestAnUpdateThatIsLockedIsLeftOutByABootAndUnlockedByAChange(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.put(t, "run/rpm-ostree/update-driver", "Zincati\n")
	out, err := n.command("upgrade").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "error: Updates and deployments are driven by Zincati")
	n.run(t, "upgrade", "--bypass-driver", "--lock-finalization")
	assert.Equal(t, "Zincati", n.now(t).Driver)
	assert.True(t, next(t, n.now(t)).Locked)
	a := n.rpm(t, "a-1-1.x86_64", "/usr/bin/a")
	n.refused(t, host.OstreeBusy, "a staged update waits for Zincati", n.Layer(t.Context(), host.Layering{Install: []string{a}}))
	n.run(t, "install", a)
	assert.False(t, next(t, n.now(t)).Locked, "whoever does not ask unlocks it")
	n.run(t, "cleanup", "-p")
	n.run(t, "upgrade", "--bypass-driver", "--lock-finalization")
	n.run(t, "boot")
	running, _ := n.now(t).Booted()
	assert.Equal(t, "44.1", running.Version)
}

func TestABootThatCannotFinalizeLeavesTheSystemAsItWas(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.run(t, "upgrade")
	n.put(t, "boot/full", "")
	n.run(t, "boot")
	s := n.now(t)
	running, _ := s.Booted()
	assert.Equal(t, "44.1", running.Version)
	assert.Len(t, s.Deployments, 1)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	a := n.rpm(t, "a-1-1.x86_64", "/usr/bin/a")
	assert.Zero(t, n.code(t, "status", "--pending-exit-77"))
	assert.Zero(t, n.code(t, "install", "-y", "--idempotent", "--unchanged-exit-77", a))
	assert.Equal(t, 77, n.code(t, "install", "-y", "--idempotent", "--unchanged-exit-77", a))
	assert.Equal(t, 77, n.code(t, "status", "--pending-exit-77"))
	assert.Zero(t, n.code(t, "status", "--json"))
	assert.Equal(t, 1, n.code(t, "install", a), "already requested")
	assert.Equal(t, 1, n.code(t, "uninstall"))
	assert.Equal(t, 1, n.code(t, "install", "--apply-now", a))
	assert.Equal(t, 1, n.code(t, "frobnicate"))
}

// The documents are rpm-ostree's, from test data of others; see nodeagent/host/ostree.
func TestAStatusHasTheKeysOfRealOnes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.run(t, "install", n.rpm(t, "a-1-1.x86_64", "/usr/bin/a"))
	n.run(t, "apply-live")
	known, always := keys(t), []string{
		"id", "osname", "checksum", "serial", "booted", "staged", "pinned", "unlocked", "timestamp", "requested-packages", "requested-local-packages",
		"requested-local-fileoverride-packages", "requested-base-removals", "requested-base-local-replacements", "regenerate-initramfs", "packages",
		"base-removals", "base-local-replacements", "base-remote-replacements", "base-commit-meta",
	}
	document := struct{ Deployments []map[string]any }{}
	require.NoError(t, json.Unmarshal([]byte(n.run(t, "status", "--json")), &document))
	require.Len(t, document.Deployments, 2)
	for _, d := range document.Deployments {
		for _, key := range always {
			assert.Contains(t, d, key)
		}
		for key := range d {
			assert.True(t, known[key], "no document of rpm-ostree has %s", key)
		}
	}
}

// keys are those of deployments in all documents that are known.
func keys(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../../nodeagent/host/ostree/testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	found := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		document := struct{ Deployments []map[string]any }{}
		require.NoError(t, json.Unmarshal(content, &document))
		for _, d := range document.Deployments {
			for key := range d {
				found[key] = true
			}
		}
	}
	return found
}
