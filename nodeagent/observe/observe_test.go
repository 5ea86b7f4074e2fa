// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/dropin"
	"github.com/kata-node/kata-node/nodeagent/guestconfig"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

const bootID = "boot-1"

func machine(t *testing.T) *hosttest.Machine {
	t.Helper()
	root := t.TempDir()
	m, err := hosttest.New(root, files.Below(root))
	require.NoError(t, err)
	return m
}

func put(t *testing.T, m *hosttest.Machine, content map[string]string) {
	t.Helper()
	for path, text := range content {
		require.NoError(t, m.Files.Write(path, []byte(text), 0o600))
	}
}

func observer(m *hosttest.Machine) observe.Observer {
	return observe.Observer{Host: m.Host(), Self: observe.Self{BootID: bootID, Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service"}}
}

func look(t *testing.T, m *hosttest.Machine, told observe.Told) plan.Facts {
	t.Helper()
	before := m.Changes
	facts, err := observer(m).Look(t.Context(), told)
	require.NoError(t, err)
	assert.Equal(t, before, m.Changes, "looking changes nothing")
	return facts
}

func intent(digit, grant string) (node.Intent, string) {
	i := node.Intent{State: node.StateInstalled, Payload: "r.example/p@sha256:" + strings.Repeat(digit, 64)}.Identify("node")
	i.Grants.RestartCRIO = grant
	document, err := i.Encode()
	if err != nil {
		panic(err) // the intent is this test's own
	}
	return i, document
}

func TestAFreshNode(t *testing.T) {
	t.Parallel()
	m := machine(t)
	assert.Equal(t, plan.Facts{
		BootID: bootID, Architecture: "amd64", Kernel: "6.12", Kept: true, Current: plan.Pending, Proof: plan.Pending, Settings: guestconfig.Fingerprint(nil),
		CRIO: plan.CRIO{Active: true, Invocation: m.CRIO.Invocation, Answers: true},
	}, look(t, m, observe.Told{}))
}

func assertFollows(t *testing.T, i node.Intent, f plan.Facts) {
	t.Helper()
	require.NotNil(t, f.Wanted)
	got := *f.Wanted
	assert.Equal(t, i, got)
}

func TestTheIntent(t *testing.T) {
	t.Parallel()
	kept, onDisk := intent("a", "")
	same, granted := intent("a", bootID)
	other, replaced := intent("b", "")
	for name, c := range map[string]struct {
		disk  string
		told  observe.Told
		check func(t *testing.T, f plan.Facts)
	}{
		"the disk's serves until the API server is there": {onDisk, observe.Told{}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, kept, f)
			assert.True(t, f.Kept)
			assert.False(t, f.Told || f.Cleared)
			assert.Empty(t, f.IntentID)
		}},
		"the Node's is the same, and has grants": {onDisk, observe.Told{Known: true, Intent: granted}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, same, f)
			assert.True(t, f.Kept && f.Told)
		}},
		"the Node's replaces the disk's": {onDisk, observe.Told{Known: true, Intent: replaced}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, other, f)
			assert.False(t, f.Kept)
			assert.Equal(t, other.ID, f.IntentID)
		}},
		"one that vanished stays in force": {onDisk, observe.Told{Known: true}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, kept, f)
			assert.True(t, f.Cleared)
			assert.False(t, f.Told)
		}},
		"one that cannot be followed leaves the disk's in force": {onDisk, observe.Told{Known: true, Intent: `{"version":9,"id":"x9"}`}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, kept, f)
			assert.Contains(t, f.IntentProblem, "version 9")
			assert.Equal(t, "x9", f.IntentID)
			assert.False(t, f.Told || f.Cleared)
		}},
		"one on disk that cannot be read is as good as none": {"{torn", observe.Told{}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assert.Nil(t, f.Wanted)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			put(t, m, map[string]string{host.IntentFile: c.disk})
			c.check(t, look(t, m, c.told))
		})
	}
}

func TestAHostThatCannotRunKataSaysWhy(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(t *testing.T, m *hosttest.Machine){
		"mount namespace of its own": func(t *testing.T, m *hosttest.Machine) { t.Helper(); m.Private = true },
		"live system": func(t *testing.T, m *hosttest.Machine) {
			t.Helper()
			put(t, m, map[string]string{"/run/ostree-live": ""})
		},
		"not yet rebooted": func(t *testing.T, m *hosttest.Machine) {
			t.Helper()
			put(t, m, map[string]string{"/etc/ignition-machine-config-encapsulated.json": "{}"})
		},
	} {
		m := machine(t)
		change(t, m)
		assert.Contains(t, look(t, m, observe.Told{}).HostProblem, says)
	}
}

func TestRecordsAndLeftovers(t *testing.T) {
	t.Parallel()
	m := machine(t)
	put(t, m, map[string]string{
		host.ServedFile:    `{"payload":"p","version":"v"}`,
		host.RestartedFile: `{"intent":"i","invocation":"c"}`,
	})
	f := look(t, m, observe.Told{})
	assert.Equal(t, &plan.Served{Payload: "p", Version: "v"}, f.Served)
	assert.Equal(t, plan.Restarted{Intent: "i", Invocation: "c"}, f.CRIO.Restarted)
	assert.Equal(t, []string{host.ServedFile, host.RestartedFile}, f.Leftovers)

	put(t, m, map[string]string{host.ServedFile: "edited by hand"})
	f = look(t, m, observe.Told{})
	assert.Nil(t, f.Served, "what cannot be read is as good as none")
	assert.Contains(t, f.Leftovers, host.ServedFile, "and goes with the rest")
}

func TestTheDropIn(t *testing.T) {
	t.Parallel()
	m := machine(t)
	content, err := dropin.Render(dropin.Stamp{Invocation: "c1", BootID: "b0"})
	require.NoError(t, err)
	put(t, m, map[string]string{host.DropIn: string(content)})
	assert.Equal(t, plan.DropIn{Exists: true, Right: true, Invocation: "c1", BootID: "b0"}, look(t, m, observe.Told{}).DropIn)
	put(t, m, map[string]string{host.DropIn: string(content) + "x"})
	assert.Equal(t, plan.DropIn{Exists: true, Invocation: "c1", BootID: "b0"}, look(t, m, observe.Told{}).DropIn)
}

func TestImagesLinksAndFragments(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Images = []host.Image{{ID: "i", Digests: []string{"d"}, Platform: "p", Manifest: "m", Version: "1"}}
	require.NoError(t, m.Files.Link(host.CurrentLink, host.Target("v1")))
	require.NoError(t, m.Files.Remove(host.ProofLink))
	put(t, m, map[string]string{host.ConfigDir + "/b.toml": "b = 1", host.ConfigDir + "/a.toml": "a = 1", host.ConfigDir + "/a.toml.bak": "x", host.StoreDir + "/x": ""})
	f := look(t, m, observe.Told{Pods: []string{"ns/a"}, PodsKnown: true, Busy: "somebody"})
	assert.Equal(t, []plan.Image{{ID: "i", Digests: []string{"d"}, Platform: "p"}}, f.Images)
	assert.True(t, f.StoreExists)
	assert.Equal(t, "v1", f.Current)
	assert.Equal(t, plan.Pending, f.Proof, "a link that is not there names nothing")
	assert.Equal(t, guestconfig.Fingerprint([]guestconfig.Fragment{{Name: "a.toml", Content: []byte("a = 1")}, {Name: "b.toml", Content: []byte("b = 1")}}), f.Settings)
	assert.Equal(t, []string{"ns/a"}, f.BoundPods)
	assert.True(t, f.PodsKnown)
	assert.Equal(t, "somebody", f.Busy)
}

func TestACRIOThatDoesNotRunIsNotAsked(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.CRIO = host.Unit{ActiveState: "failed"}
	m.Sandboxes = []host.Sandbox{{ID: "s", Handler: node.Handler}}
	assert.Equal(t, plan.CRIO{}, look(t, m, observe.Told{}).CRIO)
}

func TestWhatCannotBeReadStopsThePlan(t *testing.T) {
	t.Parallel()
	for _, path := range []string{host.IntentFile, host.ServedFile, host.DropIn, host.ConfigDir + "/a.toml"} {
		m := machine(t)
		require.NoError(t, os.MkdirAll(filepath.Join(m.Root, path), 0o755))
		_, err := observer(m).Look(t.Context(), observe.Told{})
		require.ErrorContains(t, err, "observing the host: ", path)
	}
	m := machine(t)
	o := observer(m)
	o.Host.Processes = blind{}
	put(t, m, map[string]string{host.VersionDir("v1") + "/x": ""})
	_, err := o.Look(t.Context(), observe.Told{})
	assert.ErrorContains(t, err, "no process table")
}

// blind sees no processes, and says so.
type blind struct{}

func (blind) Using(string) ([]host.Process, error) { return nil, errors.New("no process table") }
