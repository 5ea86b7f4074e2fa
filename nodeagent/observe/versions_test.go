// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// prepare makes a version as the steps leave it.
func prepare(t *testing.T, m *hosttest.Machine, id string) {
	t.Helper()
	dir := host.VersionDir(id)
	put(t, m, map[string]string{
		path.Join(dir, host.OriginRecord): `{"image":"i-` + id + `","payload":"p-` + id + `","release":"1"}`,
		path.Join(dir, host.VerifiedMark): "", path.Join(dir, host.ProvedMark): "",
	})
	for _, handler := range []string{node.Handler, node.ProofHandler} {
		put(t, m, map[string]string{path.Join(dir, handler, host.Configuration): ""})
		require.NoError(t, m.Files.Link(path.Join(dir, handler, host.Shim), "../payload/shim"))
	}
	m.Mounts = append(m.Mounts, host.PayloadDir(id))
}

func TestAVersionIsWhatItsDirectorySays(t *testing.T) {
	t.Parallel()
	whole := plan.Version{ID: "v1", Image: "i-v1", Payload: "p-v1", Release: "1", Mounted: true, Verified: true, Configured: true, Proved: true}
	for name, c := range map[string]struct {
		change func(t *testing.T, m *hosttest.Machine)
		want   func(v *plan.Version)
	}{
		"whole":       {func(t *testing.T, _ *hosttest.Machine) { t.Helper() }, func(*plan.Version) {}},
		"unmounted":   {func(t *testing.T, m *hosttest.Machine) { t.Helper(); m.Mounts = nil }, func(v *plan.Version) { v.Mounted = false }},
		"no origin":   {without(host.OriginRecord), func(v *plan.Version) { v.Image, v.Payload, v.Release = "", "", "" }},
		"unverified":  {without(host.VerifiedMark), func(v *plan.Version) { v.Verified = false }},
		"unproved":    {without(host.ProvedMark), func(v *plan.Version) { v.Proved = false }},
		"half a pair": {without(node.ProofHandler), func(v *plan.Version) { v.Configured = false }},
		"no shim":     {without(node.Handler + "/" + host.Shim), func(v *plan.Version) { v.Configured = false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			prepare(t, m, "v1")
			c.change(t, m)
			want := whole
			c.want(&want)
			assert.Equal(t, []plan.Version{want}, look(t, m, observe.Told{}).Versions)
		})
	}
}

func without(name string) func(*testing.T, *hosttest.Machine) {
	return func(t *testing.T, m *hosttest.Machine) {
		t.Helper()
		require.NoError(t, m.Files.Remove(path.Join(host.VersionDir("v1"), name)))
	}
}

func TestWhoHoldsAVersion(t *testing.T) {
	t.Parallel()
	shim := func(id, sandbox string) host.Process {
		return host.Process{PID: 7, Args: []string{"/x/containerd-shim-kata-v2", "-id", sandbox}, Paths: []string{host.PayloadDir(id) + "/shim"}}
	}
	running := host.Sandbox{ID: "s1", Handler: node.Handler, Namespace: "ns", Name: "pod", Ready: true}
	for name, c := range map[string]struct {
		change func(m *hosttest.Machine)
		v1, v2 []string
	}{
		"nobody":        {func(*hosttest.Machine) {}, nil, nil},
		"a process":     {func(m *hosttest.Machine) { m.Processes = []host.Process{shim("v1", "s9")} }, []string{"process 7 (containerd-shim-kata-v2)"}, nil},
		"a longer name": {func(m *hosttest.Machine) { m.Processes = []host.Process{shim("v11", "s9")} }, nil, nil},
		"a sandbox tied": {func(m *hosttest.Machine) {
			m.Processes, m.Sandboxes = []host.Process{shim("v2", "s1")}, []host.Sandbox{running}
		}, nil, []string{"process 7 (containerd-shim-kata-v2)"}},
		"a sandbox that no process ties to one holds all": {
			func(m *hosttest.Machine) { m.Sandboxes = []host.Sandbox{running} },
			[]string{"kata sandbox ns/pod (s1)"},
			[]string{"kata sandbox ns/pod (s1)"},
		},
		"a sandbox that ended holds none": {func(m *hosttest.Machine) { m.Sandboxes = []host.Sandbox{{ID: "s1", Handler: node.Handler}} }, nil, nil},
		"a CRI-O that does not answer may have any": {
			func(m *hosttest.Machine) { m.Silent = true },
			[]string{"CRI-O, which does not answer"},
			[]string{"CRI-O, which does not answer"},
		},
		"a CRI-O that does not run may have any": {
			func(m *hosttest.Machine) { m.CRIO = host.Unit{ActiveState: "activating"} },
			[]string{"CRI-O, which does not answer"},
			[]string{"CRI-O, which does not answer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			prepare(t, m, "v1")
			prepare(t, m, "v2")
			put(t, m, map[string]string{host.DropIn: "x"})
			c.change(m)
			versions := look(t, m, observe.Told{}).Versions
			require.Len(t, versions, 2)
			assert.Equal(t, c.v1, versions[0].Holders)
			assert.Equal(t, c.v2, versions[1].Holders)
		})
	}
}

func TestASilentCRIOHoldsNothingBeforeItWasToldOfOurHandlers(t *testing.T) {
	t.Parallel()
	m := machine(t)
	prepare(t, m, "v1")
	m.Silent = true
	f := look(t, m, observe.Told{})
	assert.False(t, f.CRIO.Answers)
	assert.Empty(t, f.Versions[0].Holders)
}
