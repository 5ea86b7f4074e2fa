// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
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
	return observe.Observer{Host: m.Host(), Self: host.Identity{BootID: bootID, Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service"}}
}

func look(t *testing.T, m *hosttest.Machine, shown cluster.State) plan.Facts {
	t.Helper()
	before := m.Changes
	facts, err := observer(m).Look(t.Context(), shown)
	require.NoError(t, err)
	assert.Equal(t, before, m.Changes, "looking changes nothing")
	return facts
}

func TestWithoutAClusterPodsAreThoseThatCRIORuns(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Sandboxes = []host.Sandbox{
		{ID: "2", Handler: node.Handler, Namespace: "ns", Name: "b", Ready: true},
		{ID: "1", Handler: node.Handler, Namespace: "ns", Name: "a", Ready: true},
		{ID: "5", Handler: node.FurtherHandler("rs"), Namespace: "ns", Name: "c", Ready: true},
		{ID: "3", Handler: node.Handler, Namespace: "ns", Name: "ended"},
		{ID: "4", Handler: node.ProofHandler, Namespace: "kata-agent", Name: "proof", Ready: true},
	}
	f := look(t, m, cluster.State{Known: true, PodsKnown: true, Alone: true})
	assert.Equal(t, []string{"ns/a", "ns/b", "ns/c"}, f.Cluster.BoundPods)
	assert.True(t, f.Cluster.Alone)
	assert.Empty(t, look(t, m, cluster.State{Known: true, PodsKnown: true}).Cluster.BoundPods, "an API server knows better")
}

func TestAFreshNode(t *testing.T) {
	t.Parallel()
	m := machine(t)
	fresh := look(t, m, cluster.State{})
	assert.WithinDuration(t, time.Now(), fresh.At, time.Minute)
	fresh.At = time.Time{}
	assert.Equal(t, plan.Facts{
		Host: plan.Host{
			BootID: bootID, Architecture: "amd64", Kernel: "6.12", Settings: handlers.Fingerprint(nil),
			Check: check.Items(check.Facts{Machine: hosttest.Fit(), Kernel: "6.12", CRIO: check.CRIO{Version: "1.36.3"}}),
		},
		Intent:  plan.Intent{Kept: true},
		Runtime: plan.Runtime{Active: true, Invocation: m.CRIO.Invocation, Answers: true, Version: "1.36.3"},
		Slots:   plan.Slots{Current: plan.Pending, Proof: plan.Pending},
	}, fresh)
}

func TestRecordsAndLeftovers(t *testing.T) {
	t.Parallel()
	m := machine(t)
	put(t, m, map[string]string{
		host.ServedFile:    `{"payload":"p","slot":"v"}`,
		host.RestartedFile: `{"intent":"i","invocation":"c"}`,
	})
	f := look(t, m, cluster.State{})
	assert.Equal(t, &record.Served{Payload: "p", Slot: "v"}, f.Store.Served)
	assert.Equal(t, record.Restarted{Intent: "i", Invocation: "c"}, f.Runtime.Restarted)
	assert.Equal(t, []string{host.ServedFile, host.RestartedFile}, f.Store.Leftovers)

	put(t, m, map[string]string{host.LacksFile: `{"invocation":"c2"}`})
	assert.Equal(t, "c2", look(t, m, cluster.State{}).Runtime.Lacks)

	put(t, m, map[string]string{host.ServedFile: "edited by hand"})
	f = look(t, m, cluster.State{})
	assert.Nil(t, f.Store.Served, "what cannot be read is as good as none")
	assert.Contains(t, f.Store.Leftovers, host.ServedFile, "and goes with the rest")
}

func TestTheDropIn(t *testing.T) {
	t.Parallel()
	m := machine(t)
	content, err := handlers.DropIn()
	require.NoError(t, err)
	put(t, m, map[string]string{host.DropIn: "# touched\n" + string(content)})
	assert.Equal(t, plan.DropIn{Exists: true, Right: true}, look(t, m, cluster.State{}).Runtime.DropIn)
	put(t, m, map[string]string{host.DropIn: string(content) + "x"})
	assert.Equal(t, plan.DropIn{Exists: true}, look(t, m, cluster.State{}).Runtime.DropIn)
}

func TestImagesLinksAndFragments(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Images = []host.Image{{ID: "i", Digests: []string{"d"}, Platform: "p", Manifest: "m", Version: "1"}}
	require.NoError(t, m.Files.Link(host.CurrentLink, host.Target("v1")))
	require.NoError(t, m.Files.Link(host.ProofLink, "/elsewhere/v1"))
	put(t, m, map[string]string{host.ConfigDir + "/b.toml": "b = 1", host.ConfigDir + "/a.toml": "a = 1", host.ConfigDir + "/a.toml.bak": "x", host.ConfigDir + "/.c.toml": "x", host.StoreDir + "/x": ""})
	f := look(t, m, cluster.State{Pods: []string{"ns/a"}, PodsKnown: true, Labelled: true, Busy: "machine-config operator"})
	assert.Equal(t, []plan.Image{{ID: "i", Digests: []string{"d"}, Platform: "p"}}, f.Store.Images)
	assert.True(t, f.Store.Exists)
	assert.Equal(t, "v1", f.Slots.Current)
	assert.Empty(t, f.Slots.Proof, "a link that leads elsewhere names no slot")
	assert.Equal(t, handlers.Fingerprint([]handlers.Fragment{{Name: "a.toml", Content: []byte("a = 1")}, {Name: "b.toml", Content: []byte("b = 1")}}), f.Host.Settings)
	assert.Equal(t, []string{"ns/a"}, f.Cluster.BoundPods)
	assert.True(t, f.Cluster.PodsKnown && f.Cluster.Labelled)
	assert.Equal(t, "machine-config operator", f.Cluster.Busy)
}

func TestACRIOThatDoesNotRunIsNotAsked(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.CRIO = host.Unit{ActiveState: "failed"}
	m.Sandboxes = []host.Sandbox{{ID: "s", Handler: node.Handler}}
	assert.Equal(t, plan.Runtime{}, look(t, m, cluster.State{}).Runtime)
}

func TestWhatCannotBeReadStopsThePlan(t *testing.T) {
	t.Parallel()
	for _, path := range []string{host.IntentFile, host.ServedFile, host.DropIn} {
		m := machine(t)
		require.NoError(t, os.MkdirAll(filepath.Join(m.Root, path), 0o755))
		_, err := observer(m).Look(t.Context(), cluster.State{})
		require.ErrorContains(t, err, "observing the host: ", path)
	}
	m := machine(t)
	o := observer(m)
	o.Host.Processes = blind{o.Host.Processes}
	put(t, m, map[string]string{host.SlotDir("v1") + "/x": ""})
	_, err := o.Look(t.Context(), cluster.State{})
	assert.ErrorContains(t, err, "no process table")
}

// blind sees no processes, and says so.
type blind struct{ host.Processes }

func (blind) Using(string) ([]host.Process, error) { return nil, errors.New("no process table") }

func TestConflictsInTheRestOfCRIOsConfiguration(t *testing.T) {
	t.Parallel()
	m := machine(t)
	put(t, m, map[string]string{
		host.CRIOConfig:                       "[crio.runtime]\ndefault_runtime = 'kata-oc'\n",
		host.CRIOConfigDir + "/deep/99-other": "[crio.runtime.runtimes.kata-oc]\nruntime_path = '/usr/bin/crun'\n",
	})
	f := look(t, m, cluster.State{})
	assert.Equal(t, []plan.Conflict{
		{File: host.CRIOConfig, Key: "crio.runtime.default_runtime", Default: true},
		{File: host.CRIOConfigDir + "/deep/99-other", Key: "crio.runtime.runtimes.kata-oc"},
	}, f.Runtime.Conflicts)
	assert.Empty(t, f.Runtime.Refused)

	require.NoError(t, os.Symlink("nowhere", filepath.Join(m.Root, host.CRIOConfigDir, ".half")))
	assert.Contains(t, look(t, m, cluster.State{}).Runtime.Refused, host.CRIOConfigDir+"/.half: ")
}

func TestTheSignaturePolicyIsThatOfTheRunningRuntime(t *testing.T) {
	t.Parallel()
	m := machine(t)
	assertPolicy := func(want string) {
		t.Helper()
		policy, err := observer(m).SignaturePolicy(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, policy)
	}
	assertPolicy("")
	put(t, m, map[string]string{
		"/etc/crio/crio.conf.d/10-policy.conf": "[crio.image]\nsignature_policy = '/etc/crio/policy.json'\n",
		"/etc/other.d/10-policy.conf":          "[crio.image]\nsignature_policy = '/etc/other.json'\n",
	})
	assertPolicy(m.Files.Path("/etc/crio/policy.json"))
	m.Options = []string{"crio", "--config-dir", "/etc/other.d"}
	assertPolicy(m.Files.Path("/etc/other.json"))
	m.CRIO.MainPID = 0
	assertPolicy(m.Files.Path("/etc/crio/policy.json"))
}

func TestAStoreThatCannotBeReadBlindsNobody(t *testing.T) {
	t.Parallel()
	m := machine(t)
	o := observer(m)
	o.Host.Images = full{o.Host.Images}
	f, err := o.Look(t.Context(), cluster.State{})
	require.NoError(t, err)
	assert.Equal(t, "no space left on device", f.Store.Problem)
	assert.Equal(t, []plan.Image{{ID: "i1", Platform: "p"}}, f.Store.Images, "what can be mounted all the same is known")
}

// full is a store on a full disk.
type full struct{ host.Images }

func (full) List(context.Context) ([]host.Image, error) {
	return []host.Image{{ID: "i1", Platform: "p"}}, errors.New("no space left on device")
}
