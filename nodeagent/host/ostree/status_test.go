// SPDX-License-Identifier: Apache-2.0

package ostree_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/ostree"
)

// state is what the agent makes of a status, with versions or the ends of names for deployments.
type state struct {
	booted, pending, staged, rollback string
	live, stuck, locked               bool
	transaction, driver               string
	local, requested                  int
}

// The documents are test data of rpmostree-client-go and of Zincati (Apache-2.0), by their names,
// and others made from rpm-ostree's own source.
func TestEveryKnownDocumentIsRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]state{
		"fcos-rollback-first":         {booted: "44.20260801.3.0", pending: "44.20260715.3.0", rollback: "43.20260101.3.0"},
		"fcos-zincati-staged-locked":  {booted: "44.20260715.3.0", pending: "44.20260801.3.0", staged: "44.20260801.3.0", locked: true, driver: "Zincati"},
		"no-deployments":              {},
		"nothing-booted":              {},
		"other-osname-booted":         {booted: "scos", pending: "rhcos"},
		"rhcos-clean":                 {booted: "rhcos"},
		"rhcos-kata-extension-booted": {booted: "rhcos"},
		"rhcos-kata-extension-staged": {booted: "rhcos", pending: "rhcos", staged: "rhcos", requested: 1},
		"rhcos-live-interrupted":      {booted: "rhcos", pending: "rhcos", staged: "rhcos", stuck: true, local: 2},
		"rhcos-local-packages-live":   {booted: "rhcos", pending: "rhcos", staged: "rhcos", live: true, local: 2},
		"rhcos-local-packages-staged": {booted: "rhcos", pending: "rhcos", staged: "rhcos", local: 2},
		"rhcos-mcd-os-update-staged":  {booted: "rhcos", pending: "rhcos", staged: "rhcos", requested: 1},
		"rhcos-transaction-active":    {booted: "rhcos", transaction: "rebase :1.512"},
		"rhcos-unlocked-hotfix":       {booted: "rhcos"},

		"rpmostree-client-go__fcos-container-status":      {booted: "36.20220820.3.0", pending: "fedora-coreos", staged: "fedora-coreos", driver: "Zincati"},
		"rpmostree-client-go__fcos-with-overrides-status": {booted: "37.20230122.3.0", pending: "37.20230122.3.0", staged: "37.20230122.3.0", driver: "Zincati", requested: 1},
		"rpmostree-client-go__workstation-status":         {booted: "33.21", rollback: "33.17"},
		"zincati__rpm-ostree-staged":                      {booted: "31.20200505.3.0", pending: "31.20200517.3.0", staged: "31.20200517.3.0", locked: true},
		"zincati__rpm-ostree-status-annotation":           {booted: "43.20251024.3.0", driver: "Zincati"},
		"zincati__rpm-ostree-status":                      {booted: "43.20251024.3.0", driver: "Zincati"},
	} {
		document, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		require.NoError(t, err)
		o, err := ostree.Decode(document)
		require.NoError(t, err, name)
		assert.Equal(t, want, stateOf(o), name)
	}
	all, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	assert.Len(t, all, 20, "a document without a line above")
}

func stateOf(o host.OSTree) state {
	s := state{driver: o.Driver}
	running, _ := o.Booted()
	next, pending := o.Pending()
	staged, _ := o.Staged()
	rollback, _ := o.Rollback()
	s.booted, s.staged, s.rollback = name(running), name(staged), name(rollback)
	if pending {
		s.pending, s.locked, s.local, s.requested = name(next), next.Locked, len(next.Local), len(next.Requested)
		s.live = running.LiveReplaced != "" && running.LiveReplaced == next.Checksum
	}
	s.stuck = running.LiveInProgress != ""
	if o.Transaction != nil {
		s.transaction = o.Transaction.Method + " " + o.Transaction.Sender
	}
	return s
}

func name(d host.Deployment) string {
	if d.Version != "" {
		return d.Version
	}
	return d.OSName
}

// Older and newer versions leave keys out, add others, and may print what a library does not
// expect.
func TestAStatusWithoutVersionWithoutStagedWithANegativeTimestampAndUnknownKeysIsRead(t *testing.T) {
	t.Parallel()
	o, err := ostree.Decode([]byte(`{"deployments":[{"checksum":"c","booted":true,"timestamp":-1,"serial":"x","custom-origin":{"a":1},"origin":7,"new":[{}]}],"x":1}`))
	require.NoError(t, err)
	assert.Equal(t, []host.Deployment{{Checksum: "c", Base: "c", Booted: true}}, o.Deployments)
	assert.Nil(t, o.Transaction)
}

func TestAStatusThatCannotBeReadIsAnErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	for document, says := range map[string]string{
		``:                                    "unexpected end of JSON input",
		`null`:                                "no list of deployments",
		`{}`:                                  "no list of deployments",
		`{"deployments":[]} oops`:             "after top-level value",
		`{"deployments":[{"checksum":"c",}]}`: "invalid character",
		`{"deployments":7}`:                   "deployments",
	} {
		_, err := ostree.Decode([]byte(document))
		require.ErrorContains(t, err, "reading rpm-ostree's status: ", document)
		assert.ErrorContains(t, err, says, document)
	}
}

func FuzzDecode(f *testing.F) {
	all, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range all {
		document, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		o, err := ostree.Decode(document)
		if err != nil {
			assert.True(t, strings.HasPrefix(err.Error(), "reading rpm-ostree's status: "))
			return
		}
		next, pending := o.Pending()
		running, booted := o.Booted()
		assert.False(t, pending && (next.Booted || !booted || !running.Booted))
		_, rollback := o.Rollback()
		assert.False(t, rollback && !booted)
	})
}
