// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// prepare makes a version as the steps leave it.
func prepare(t *testing.T, m *hosttest.Machine, id string) {
	t.Helper()
	dir := host.SlotDir(id)
	put(t, m, map[string]string{
		path.Join(dir, "origin.json"):   `{"image":"i-` + id + `","platform":"d","payload":"p-` + id + `","release":"1"}`,
		path.Join(dir, "verified.json"): `{"architecture":"amd64"}`,
		path.Join(dir, "proved.json"):   `{"invocation":"c1"}`,
	})
	for _, handler := range node.Handlers() {
		put(t, m, map[string]string{path.Join(dir, handler, host.Configuration): ""})
		require.NoError(t, m.Files.Link(path.Join(dir, handler, host.Shim), "../payload/shim"))
	}
	m.Mounts = append(m.Mounts, host.PayloadDir(id))
}

func TestAVersionIsWhatItsDirectorySays(t *testing.T) {
	t.Parallel()
	whole := plan.Slot{
		ID: "v1", Origin: record.Origin{Image: "i-v1", Platform: "d", Payload: "p-v1", Release: "1"}, Mounted: true,
		Verified: &record.Verified{Architecture: "amd64"}, Configured: true, Proved: "c1",
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, m *hosttest.Machine)
		want   func(v *plan.Slot)
	}{
		"whole":               {func(t *testing.T, _ *hosttest.Machine) { t.Helper() }, func(*plan.Slot) {}},
		"unmounted":           {func(t *testing.T, m *hosttest.Machine) { t.Helper(); m.Mounts = nil }, func(v *plan.Slot) { *v = plan.Slot{ID: "v1", Origin: v.Origin} }},
		"no origin":           {without("origin.json"), func(v *plan.Slot) { v.Origin = record.Origin{} }},
		"unverified":          {without("verified.json"), func(v *plan.Slot) { v.Verified = nil }},
		"unproved":            {without("proved.json"), func(v *plan.Slot) { v.Proved = "" }},
		"half a pair":         {without(node.ProofHandler), func(v *plan.Slot) { v.Configured, v.Partial = false, true }},
		"of an older agent":   {without(node.FurtherHandler("rs")), func(v *plan.Slot) { v.Partial = true }},
		"its guest":           {withGuest("/var/lib/kata-containers/guest/v1/initrd", "initrd", "initrd.json"), func(v *plan.Slot) { v.Guest = true }},
		"half a guest":        {withGuest("/var/lib/kata-containers/guest/v1/initrd", "initrd"), func(*plan.Slot) {}},
		"the payload's guest": {withGuest("/run/kata-agent/slots/v1/payload/initrd"), func(v *plan.Slot) { v.Guest = true }},
		"no shim":             {without(node.Handler + "/" + host.Shim), func(v *plan.Slot) { v.Configured, v.Partial = false, true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			prepare(t, m, "v1")
			c.change(t, m)
			want := whole
			c.want(&want)
			assert.Equal(t, []plan.Slot{want}, look(t, m, cluster.State{}).Slots.All)
		})
	}
}

// withGuest notes an initrd for the slot, and puts files where the agent's own are.
func withGuest(initrd string, names ...string) func(*testing.T, *hosttest.Machine) {
	return func(t *testing.T, m *hosttest.Machine) {
		t.Helper()
		require.NoError(t, record.Guest{Kernel: "/k", Initrd: initrd}.Save(m.Files, "v1"))
		for _, name := range names {
			put(t, m, map[string]string{path.Join(host.GuestDir("v1"), name): ""})
		}
	}
}

func without(name string) func(*testing.T, *hosttest.Machine) {
	return func(t *testing.T, m *hosttest.Machine) {
		t.Helper()
		require.NoError(t, m.Files.Remove(path.Join(host.SlotDir("v1"), name)))
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
		"nobody":    {func(*hosttest.Machine) {}, nil, nil},
		"a process": {func(m *hosttest.Machine) { m.Processes = []host.Process{shim("v1", "s9")} }, []string{"process 7 (containerd-shim-kata-v2, of no sandbox that CRI-O lists)"}, nil},
		"a process that cannot be read": {
			func(m *hosttest.Machine) {
				m.Processes = []host.Process{{PID: 7, Unread: "/proc/7/maps: no answer within 1s"}}
			}, []string{"process 7 (unknown: /proc/7/maps: no answer within 1s)"}, []string{"process 7 (unknown: /proc/7/maps: no answer within 1s)"},
		},
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
			slots := look(t, m, cluster.State{}).Slots.All
			require.Len(t, slots, 2)
			assert.Equal(t, c.v1, slots[0].Holders)
			assert.Equal(t, c.v2, slots[1].Holders)
		})
	}
}

// A shim whose sandbox CRI-O has forgotten ends with no pod.
func TestAProcessOfNoSandboxIsNamedWithSinceWhenItHasRun(t *testing.T) {
	t.Parallel()
	shim := func(id, sandbox string) host.Process {
		return host.Process{
			PID: 7, Args: []string{"/x/containerd-shim-kata-v2", "-id", sandbox}, Paths: []string{host.PayloadDir(id) + "/shim"},
			Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}
	}
	const named = "process 7 (containerd-shim-kata-v2, since 2026-01-02 03:04 UTC, of no sandbox that CRI-O lists)"
	ended := host.Sandbox{ID: "s1", Handler: node.Handler, Namespace: "ns", Name: "pod"}
	for name, c := range map[string]struct {
		change          func(m *hosttest.Machine)
		holders, strays []string
	}{
		"no sandbox": {func(m *hosttest.Machine) { m.Processes = []host.Process{shim("v1", "s9")} }, []string{named}, []string{named}},
		"another sandbox": {func(m *hosttest.Machine) {
			m.Processes, m.Sandboxes = []host.Process{shim("v1", "s9")}, []host.Sandbox{ended}
		}, []string{named}, []string{named}},
		"a sandbox that has ended and is not removed": {func(m *hosttest.Machine) {
			m.Processes, m.Sandboxes = []host.Process{shim("v1", "s1")}, []host.Sandbox{ended}
		}, []string{"process 7 (containerd-shim-kata-v2)"}, nil},
		"a CRI-O that does not answer": {func(m *hosttest.Machine) {
			m.Processes, m.Silent = []host.Process{shim("v1", "s9")}, true
		}, []string{"process 7 (containerd-shim-kata-v2)", "CRI-O, which does not answer"}, nil},
		"a process that cannot be read": {func(m *hosttest.Machine) {
			m.Processes = []host.Process{{PID: 7, Unread: "no answer"}}
		}, []string{"process 7 (unknown: no answer)"}, []string{"process 7 (unknown: no answer)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			prepare(t, m, "v1")
			put(t, m, map[string]string{host.DropIn: "x"})
			c.change(m)
			slot := look(t, m, cluster.State{}).Slots.All[0]
			assert.Equal(t, c.holders, slot.Holders)
			assert.Equal(t, c.strays, slot.Strays)
		})
	}
}

func TestASandboxOfTwoVersionsIsNoticed(t *testing.T) {
	t.Parallel()
	process := func(file string, args ...string) host.Process {
		return host.Process{PID: len(args), Args: args, Paths: []string{file}}
	}
	shim := process(host.PayloadDir("v1")+"/shim", "/x/shim", "-id", "0123abcd")
	vm := process(host.PayloadDir("v2")+"/kernel", "/x/qemu", "-name", "sandbox-0123abcd,debug-threads=on", "-kernel")
	mixed := []plan.Mixed{{Sandbox: "ns/pod (0123abcd)", Slots: []string{"v1", "v2"}}}
	for name, c := range map[string]struct {
		processes []host.Process
		ended     bool
		want      []plan.Mixed
	}{
		"shim and VM of one":             {processes: []host.Process{shim}},
		"a shim of one, a VM of another": {processes: []host.Process{shim, vm}, want: mixed},
		"a VM with the guest of another": {processes: []host.Process{shim, process(host.GuestDir("v2")+"/initrd", "/usr/bin/qemu", "sandbox-0123abcd")}, want: mixed},
		"a shim that only deletes":       {processes: []host.Process{shim, process(host.PayloadDir("v2")+"/shim", "/x/shim", "-id", "0123abcd", "delete")}},
		"another sandbox's VM":           {processes: []host.Process{shim, process(host.PayloadDir("v2")+"/kernel", "/x/qemu", "sandbox-4567")}},
		"a sandbox that has ended":       {processes: []host.Process{shim, vm}, ended: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			prepare(t, m, "v1")
			prepare(t, m, "v2")
			put(t, m, map[string]string{host.DropIn: "x", path.Join(host.GuestDir("v2"), "initrd"): ""})
			m.Processes, m.Sandboxes = c.processes, []host.Sandbox{{ID: "0123abcd", Handler: node.Handler, Namespace: "ns", Name: "pod", Ready: !c.ended}}
			f := look(t, m, cluster.State{})
			assert.Equal(t, c.want, f.Slots.Mixed)
			assert.Equal(t, len(c.want) > 0, f.Slots.All[1].Holders != nil && plan.For(f).Notice != "")
		})
	}
}

func TestASilentCRIOHoldsNothingBeforeItWasToldOfOurHandlers(t *testing.T) {
	t.Parallel()
	m := machine(t)
	prepare(t, m, "v1")
	m.Silent = true
	f := look(t, m, cluster.State{})
	assert.False(t, f.Runtime.Answers)
	assert.Empty(t, f.Slots.All[0].Holders)
}
