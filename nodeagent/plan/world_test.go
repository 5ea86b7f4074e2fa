// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

const (
	bootID = "b1"
	kernel = "6.12"
)

// payload returns an image reference whose digest repeats one hexadecimal digit, which is also its image and platform here.
func payload(digit string) string {
	return "registry.example/kata@sha256:" + repeat(digit)
}

func repeat(digit string) string {
	out := ""
	for range 64 {
		out += digit
	}
	return out
}

func image(digit string) plan.Image {
	return plan.Image{ID: digit, Digests: []string{"sha256:" + repeat(digit)}, Platform: "sha256:" + repeat(digit)}
}

func id(digit string) string { return plan.VersionID("sha256:"+repeat(digit), kernel, "") }

func install(digit string) *node.Intent {
	i := node.Intent{State: node.StateInstalled, Payload: payload(digit)}.Identify("node")
	i.Grants.RestartCRIO = bootID
	return &i
}

func absent() *node.Intent {
	i := node.Intent{State: node.StateAbsent}.Identify("node")
	return &i
}

// world is a host small enough to be a value: steps change it as the real ones change a real host.
type world struct{ facts plan.Facts }

// booted is a node with a running CRI-O and nothing of ours.
func booted(wanted *node.Intent) world {
	return world{plan.Facts{
		BootID: bootID, Kernel: kernel, Wanted: wanted, Told: wanted != nil, PodsKnown: true,
		CRIO: plan.CRIO{Active: true, Invocation: "c1", Answers: true}, Current: plan.Pending, Proof: plan.Pending,
	}}
}

func (w *world) version(versionID string) *plan.Version {
	i := slices.IndexFunc(w.facts.Versions, func(v plan.Version) bool { return v.ID == versionID })
	if i < 0 {
		w.facts.Versions = append(w.facts.Versions, plan.Version{ID: versionID})
		i = len(w.facts.Versions) - 1
	}
	return &w.facts.Versions[i]
}

func (w *world) apply(t *testing.T, s plan.Step) {
	t.Helper()
	f := &w.facts
	switch s.Kind {
	case plan.Keep:
		f.Kept = true
	case plan.Forget:
		f.Wanted = nil
	case plan.Pull:
		f.StoreExists = true
		f.Images = append(f.Images, image(node.Digest(s.Payload)[len("sha256:"):][:1]))
	case plan.Mount:
		require.NotEmpty(t, s.Version)
		v := w.version(s.Version)
		v.Mounted, v.Payload, v.Image = true, s.Payload, node.Digest(s.Payload)[len("sha256:"):][:1]
	case plan.Verify:
		require.True(t, w.version(s.Version).Mounted, "only what is mounted can be verified")
		w.version(s.Version).Verified = true
	case plan.Configure:
		require.True(t, w.version(s.Version).Verified, "nothing is made from unverified bytes")
		w.version(s.Version).Configured = true
	case plan.WriteDropIn:
		f.DropIn = plan.DropIn{Exists: true, Right: true, Invocation: f.CRIO.Invocation, BootID: f.BootID}
	case plan.RestartCRIO:
		f.CRIO.Restarted = plan.Restarted{Intent: f.Wanted.ID, Invocation: f.CRIO.Invocation}
		f.CRIO.Invocation += "+"
	case plan.PointProof:
		f.Proof = s.Version
	case plan.Prove:
		require.Equal(t, s.Version, f.Proof)
		require.True(t, f.CRIO.Active && (f.DropIn.BootID != f.BootID || f.DropIn.Invocation != f.CRIO.Invocation), "CRI-O has read the drop-in")
		w.version(s.Version).Proved = true
	case plan.PointCurrent:
		require.True(t, s.Version == plan.Pending || w.version(s.Version).Ready(), "current always resolves to something whole")
		f.Current = s.Version
	case plan.Record:
		f.Served = &plan.Served{Payload: s.Payload, Version: s.Version}
	case plan.Unmount:
		require.Empty(t, w.version(s.Version).Holders, "what is held stays")
		f.Versions = slices.DeleteFunc(f.Versions, func(v plan.Version) bool { return v.ID == s.Version })
	case plan.DeleteImage:
		require.False(t, slices.ContainsFunc(f.Versions, func(v plan.Version) bool { return v.Image == s.Object }), "a mounted image stays")
		f.Images = slices.DeleteFunc(f.Images, func(i plan.Image) bool { return i.ID == s.Object })
	case plan.RemoveSandbox:
		f.CRIO.Sandboxes = slices.DeleteFunc(f.CRIO.Sandboxes, func(s2 plan.Sandbox) bool { return s2.ID == s.Object })
	case plan.RemoveDropIn:
		f.DropIn = plan.DropIn{}
	case plan.Clear:
		f.StoreExists, f.Images, f.Served, f.Leftovers, f.CRIO.Restarted = false, nil, nil, nil, plan.Restarted{}
	}
}

// settle takes passes, one step each and all tidying, until nothing is left to do, and returns what was done.
func (w *world) settle(t *testing.T) (done []plan.Kind, last plan.Plan) {
	t.Helper()
	for range 100 {
		last = plan.Make(w.facts)
		if len(last.Steps) == 0 && len(last.Tidy) == 0 {
			return done, last
		}
		if len(last.Steps) > 0 {
			w.apply(t, last.Steps[0])
			done = append(done, last.Steps[0].Kind)
			continue
		}
		for _, s := range last.Tidy {
			w.apply(t, s)
			done = append(done, s.Kind)
		}
	}
	t.Fatalf("the plan never ends: %v", done)
	return nil, plan.Plan{}
}

// installed is a node that serves a payload.
func installed(t *testing.T, digit string) world {
	t.Helper()
	w := booted(install(digit))
	_, last := w.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)
	return w
}

// reboot forgets what a reboot forgets.
func (w *world) reboot() {
	f := &w.facts
	f.BootID, f.Told, f.PodsKnown = "b2", false, false
	f.Versions, f.Current, f.Proof = nil, plan.Pending, plan.Pending
	f.CRIO = plan.CRIO{}
}
