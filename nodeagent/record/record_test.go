// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// kinds are all records but the intent: how each is written, and read as a value that can be
// compared.
func kinds() map[string]struct {
	save func(host.Files) error
	load func(host.Files) (any, error)
	want any
	none any
} {
	served, verified := record.Served{Payload: "p", Slot: "s"}, record.Verified{Architecture: "amd64", HandlerType: "vm", ShimCompatibility: "1"}
	guest, rebooted := record.Guest{Kernel: "k", Initrd: "i"}, record.Rebooted{Boot: "b", Reason: "r"}
	layered := record.Layered{Packages: []record.Package{{Name: "qemu", NEVRA: "qemu-1"}}, Boot: "b", Attempts: 1}
	failed := record.Failed{Invocation: "c", Times: 1, Words: "no"}
	restarted, lacks, proved := record.Restarted{Intent: "i", Invocation: "c"}, record.Lacks{Invocation: "c"}, record.Proved{Invocation: "c"}
	proofs := record.Proofs{Asked: map[string]int{"proof-1": 2}}
	origin := record.Origin{Image: "i", Platform: "d", Payload: "p", Release: "1"}
	findings := record.Findings{Slot: "s", Boot: "b", Build: "v", Origin: origin, Verified: verified, Proved: proved}
	type kind = struct {
		save func(host.Files) error
		load func(host.Files) (any, error)
		want any
		none any
	}
	return map[string]kind{
		"served": {func(f host.Files) error { return served.Save(f) }, func(f host.Files) (any, error) { return record.LoadServed(f) }, &served, (*record.Served)(nil)},
		"verified": {
			func(f host.Files) error { return verified.Save(f, "s") }, func(f host.Files) (any, error) { return record.LoadVerified(f, "s") },
			&verified, (*record.Verified)(nil),
		},
		"guest":     {func(f host.Files) error { return guest.Save(f, "s") }, func(f host.Files) (any, error) { return record.LoadGuest(f, "s") }, &guest, (*record.Guest)(nil)},
		"rebooted":  {func(f host.Files) error { return rebooted.Save(f) }, func(f host.Files) (any, error) { return record.LoadRebooted(f) }, rebooted, record.Rebooted{}},
		"layered":   {func(f host.Files) error { return layered.Save(f) }, func(f host.Files) (any, error) { return record.LoadLayered(f) }, &layered, (*record.Layered)(nil)},
		"restarted": {func(f host.Files) error { return restarted.Save(f) }, func(f host.Files) (any, error) { return record.LoadRestarted(f) }, restarted, record.Restarted{}},
		"lacks":     {func(f host.Files) error { return lacks.Save(f) }, func(f host.Files) (any, error) { return record.LoadLacks(f) }, lacks, record.Lacks{}},
		"proofs":    {func(f host.Files) error { return proofs.Save(f) }, func(f host.Files) (any, error) { return record.LoadProofs(f) }, proofs, record.Proofs{}},
		"proved":    {func(f host.Files) error { return proved.Save(f, "s") }, func(f host.Files) (any, error) { return record.LoadProved(f, "s") }, proved, record.Proved{}},
		"failed":    {func(f host.Files) error { return failed.Save(f, "s") }, func(f host.Files) (any, error) { return record.LoadFailed(f, "s") }, failed, record.Failed{}},
		"origin":    {func(f host.Files) error { return origin.Save(f, "s") }, func(f host.Files) (any, error) { return record.LoadOrigin(f, "s") }, origin, record.Origin{}},
		"findings":  {func(f host.Files) error { return findings.Save(f) }, func(f host.Files) (any, error) { return record.LoadFindings(f, "s") }, &findings, (*record.Findings)(nil)},
	}
}

func TestEveryRecordIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	assert.Len(t, kinds(), saved(t), "a record that is saved is to be among them")
	for name, kind := range kinds() {
		root := t.TempDir()
		tree := files.Below(root)
		got, err := kind.load(tree)
		require.NoError(t, err, name)
		assert.Equal(t, kind.none, got, name)

		require.NoError(t, kind.save(tree), name)
		got, err = kind.load(tree)
		require.NoError(t, err, name)
		assert.Equal(t, kind.want, got, name)

		require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return os.WriteFile(path, []byte("edited by hand"), 0o600)
		}))
		got, err = kind.load(tree)
		require.NoError(t, err, name)
		assert.Equal(t, kind.none, got, "%s: one that cannot be read counts as missing", name)
	}
}

// saved counts the types of this package that are saved.
func saved(t *testing.T) (count int) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range names {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		if !strings.HasSuffix(name, "_test.go") {
			count += strings.Count(string(source), ") Save(files host.FileWriter")
		}
	}
	return count
}

// written are the records of kinds as version 0.1.0 of the agent writes them. A later version still
// reads them, and this one reads those of a later version, which may have more fields.
func written() map[string]string {
	return map[string]string{
		"served":    `{"payload":"p","slot":"s"}`,
		"verified":  `{"architecture":"amd64","handlerType":"vm","shimCompatibility":"1"}`,
		"guest":     `{"kernel":"k","initrd":"i"}`,
		"rebooted":  `{"boot":"b","reason":"r"}`,
		"layered":   `{"packages":[{"name":"qemu","nevra":"qemu-1"}],"boot":"b","attempts":1}`,
		"restarted": `{"intent":"i","invocation":"c"}`,
		"lacks":     `{"invocation":"c"}`,
		"proved":    `{"invocation":"c"}`,
		"proofs":    `{"asked":{"proof-1":2}}`,
		"failed":    `{"invocation":"c","times":1,"words":"no"}`,
		"origin":    `{"image":"i","platform":"d","payload":"p","release":"1"}`,
		"findings": `{"slot":"s","boot":"b","build":"v","origin":{"image":"i","platform":"d","payload":"p","release":"1"},` +
			`"verified":{"architecture":"amd64","handlerType":"vm","shimCompatibility":"1"},"proved":{"invocation":"c"}}`,
	}
}

// rewrite changes the only record below a directory.
func rewrite(t *testing.T, root string, change func(document string) string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		document, err := os.ReadFile(path)
		require.NoError(t, err)
		return os.WriteFile(path, []byte(change(string(document))), 0o600)
	}))
}

func TestARecordThatOnlyANewerAgentReadsIsRefusedOrFoundOutAnew(t *testing.T) {
	t.Parallel()
	refused := map[string]string{
		"served":   "record /var/lib/kata-agent/served.json has form 2 of a newer agent, and this agent reads form 1: run the newer agent again, or delete that file",
		"origin":   "record /run/kata-agent/slots/s/origin.json has form 2 of a newer agent, and this agent reads form 1: run the newer agent again, or reboot this node",
		"verified": "/run/kata-agent/slots/s/verified.json", "guest": "/run/kata-agent/slots/s/guest.json",
		"layered": "/var/lib/kata-agent/layered.json", "rebooted": "/var/lib/kata-agent/rebooted.json", "restarted": "/run/kata-agent/restarted",
	}
	for name, kind := range kinds() {
		root := t.TempDir()
		tree := files.Below(root)
		require.NoError(t, kind.save(tree), name)
		rewrite(t, root, func(string) string { return `{"revision":2,"payload":["other"],"invocation":7,"packages":"none"}` })
		got, err := kind.load(tree)
		assert.Equal(t, kind.none, got, name)
		if words := refused[name]; words != "" {
			require.ErrorContains(t, err, words, name)
			continue
		}
		require.NoError(t, err, name)
		require.NoError(t, kind.save(tree), "%s: this agent's takes its place", name)
		got, err = kind.load(tree)
		require.NoError(t, err, name)
		assert.Equal(t, kind.want, got, name)
	}
}

func TestRecordsOfNeighbouringVersionsAreRead(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds() {
		root := t.TempDir()
		tree := files.Below(root)
		require.NoError(t, kind.save(tree), name)
		rewrite(t, root, func(document string) string {
			assert.Equal(t, written()[name], document, name)
			return strings.TrimSuffix(written()[name], "}") + `,"revision":1,"later":{"a":[1]}}`
		})
		got, err := kind.load(tree)
		require.NoError(t, err, name)
		assert.Equal(t, kind.want, got, name)
	}
}

func TestTheIntentIsKeptWithoutItsGrants(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	intent := node.Intent{State: node.StateAbsent}.Identify("node")
	intent.Grants.RestartCRIO = "boot"
	require.NoError(t, record.SaveIntent(tree, intent))
	kept, err := record.LoadIntent(tree)
	require.NoError(t, err)
	intent.Grants = node.Grants{}
	assert.Equal(t, &intent, kept)
	require.NoError(t, record.RemoveIntent(tree))
	kept, err = record.LoadIntent(tree)
	require.NoError(t, err)
	assert.Nil(t, kept)
}

func TestTheFormerPayloadIsRemembered(t *testing.T) {
	t.Parallel()
	var none *record.Served
	first := none.Next("a", "s1")
	assert.Equal(t, record.Served{Payload: "a", Slot: "s1"}, first)
	second := first.Next("b", "s2")
	assert.Equal(t, record.Served{Payload: "b", Slot: "s2", Before: "a"}, second)
	assert.Equal(t, record.Served{Payload: "b", Slot: "s3", Before: "a"}, second.Next("b", "s3"), "another kernel")
	assert.Equal(t, record.Served{Payload: "a", Slot: "s1", Before: "b"}, second.Next("a", "s1"))
}

func TestMarksAreRemovedTogether(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	require.NoError(t, record.Verified{}.Save(tree, "s"))
	require.NoError(t, record.Proved{Invocation: "c"}.Save(tree, "s"))
	require.NoError(t, record.Failed{Invocation: "c"}.Save(tree, "s"))
	require.NoError(t, record.Origin{Image: "i"}.Save(tree, "s"))
	require.NoError(t, record.RemoveMarks(tree, "s"))
	names, err := tree.List(host.SlotDir("s"))
	require.NoError(t, err)
	assert.Equal(t, []string{"origin.json"}, names)
}
