// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

const (
	bootID = "b1"
	kernel = "6.12"
)

// payload returns an image reference whose digest repeats one hexadecimal digit, which is also its
// image and platform here.
func payload(digit string) string {
	return "registry.example/kata@sha256:" + repeat(digit)
}

func repeat(digit string) string { return strings.Repeat(digit, 64) }

func image(digit string) plan.Image {
	return plan.Image{ID: digit, Digests: []string{"sha256:" + repeat(digit)}, Platform: "sha256:" + repeat(digit)}
}

func id(digit string) string { return plan.SlotID("sha256:"+repeat(digit), kernel, "") }

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
type world struct {
	facts plan.Facts
	// knows is which invocations of CRI-O were started with our drop-in there.
	knows map[string]bool
	// older is which of them were started with the drop-in of an older agent.
	older map[string]bool
	// guests is whether payloads ask for a guest.
	guests bool
	// virtual is whether payloads start virtual machines.
	virtual bool
}

// startCRIO is a start of CRI-O by whatever hand.
func (w *world) startCRIO(invocation string) {
	r := &w.facts.Runtime
	r.Active, r.Answers, r.Invocation = true, true, invocation
	w.knows[invocation] = r.DropIn.Right && r.DropIn.Hidden == ""
}

// booted is a node with a running CRI-O and nothing of ours.
func booted(wanted *node.Intent) world {
	return world{plan.Facts{
		Host:    plan.Host{BootID: bootID, Kernel: kernel},
		Intent:  plan.Intent{Wanted: wanted, Shown: wanted != nil},
		Cluster: plan.Cluster{PodsKnown: true},
		Runtime: plan.Runtime{Active: true, Invocation: "c1", Answers: true},
		Slots:   plan.Slots{Current: plan.Pending, Proof: plan.Pending},
	}, map[string]bool{}, map[string]bool{}, false, false}
}

// clone returns a world of its own in the same state.
func (w *world) clone() world {
	c := world{w.facts, maps.Clone(w.knows), maps.Clone(w.older), w.guests, w.virtual}
	c.facts.Slots.All = slices.Clone(w.facts.Slots.All)
	c.facts.Store.Guests = slices.Clone(w.facts.Store.Guests)
	return c
}

func (w *world) slot(slotID string) *plan.Slot {
	i := slices.IndexFunc(w.facts.Slots.All, func(v plan.Slot) bool { return v.ID == slotID })
	if i < 0 {
		w.facts.Slots.All = append(w.facts.Slots.All, plan.Slot{ID: slotID})
		i = len(w.facts.Slots.All) - 1
	}
	return &w.facts.Slots.All[i]
}

func (w *world) apply(t *testing.T, s plan.Step) {
	t.Helper()
	f := &w.facts
	switch s.Kind {
	case plan.Keep:
		f.Intent.Kept, f.Intent.Superseded, f.Intent.Stale = true, false, false
	case plan.Forget:
		f.Intent.Wanted = nil
	case plan.Pull, plan.Prefetch:
		f.Store.Exists = true
		f.Store.Images = append(f.Store.Images, image(node.Digest(s.Payload)[len("sha256:"):][:1]))
	case plan.Mount:
		require.NotEmpty(t, s.Slot)
		v := w.slot(s.Slot)
		v.Mounted, v.Payload, v.Image, v.Platform = true, s.Payload, node.Digest(s.Payload)[len("sha256:"):][:1], node.Digest(s.Payload)
	case plan.Verify:
		require.True(t, w.slot(s.Slot).Mounted, "only what is mounted can be verified")
		w.slot(s.Slot).Verified = &record.Verified{HandlerType: "vm", Handlers: []string{"kata-oc", "kata-oc-rs"}, Guest: w.guests, VM: w.virtual, Identity: s.Payload}
	case plan.Resume, plan.VerifyAgain, plan.KeepFindings, plan.DropFindings:
		w.findings(t, s)
	case plan.BuildGuest, plan.BuildAhead:
		require.True(t, w.slot(s.Slot).Verified.Guest, "only where it is asked for")
		guest := plan.Guest{Slot: s.Slot, Whole: true}
		if s.Kind == plan.BuildAhead {
			guest.Slot = plan.SlotID(w.slot(s.Slot).Platform, s.Object, "")
		} else {
			w.slot(s.Slot).Guest = true
		}
		f.Store.Guests = append(f.Store.Guests, guest)
	case plan.DeleteGuest:
		f.Store.Guests = slices.DeleteFunc(f.Store.Guests, func(g plan.Guest) bool { return g.Slot == s.Object })
	case plan.Configure:
		require.NotNil(t, w.slot(s.Slot).Verified, "nothing is made from unverified bytes")
		w.slot(s.Slot).Configured, w.slot(s.Slot).Partial = true, false
	case plan.LoadModules:
		require.NotEmpty(t, f.Host.Modules)
		f.Host.Modules = nil
	case plan.WriteDropIn:
		f.Runtime.DropIn.Exists, f.Runtime.DropIn.Right = true, true
	case plan.RestartCRIO:
		f.Runtime.Restarted = record.Restarted{Intent: f.Intent.Wanted.ID, Invocation: f.Runtime.Invocation}
		w.startCRIO(f.Runtime.Invocation + "+")
	case plan.ConfirmNode:
		f.Runtime.Restarted.Before = nil
	case plan.PointProof:
		f.Slots.Proof = s.Slot
	case plan.Prove:
		require.Equal(t, s.Slot, f.Slots.Proof)
		require.True(t, f.Runtime.Active)
		w.prove(t, s)
	case plan.Control:
		require.Equal(t, f.Slots.Current, s.Slot)
		require.Equal(t, s.Slot, f.Slots.Proof)
		w.slot(s.Object).Failed.Control = s.Slot
	case plan.PointCurrent:
		require.True(t, s.Slot == plan.Pending || w.slot(s.Slot).Ready(), "current always resolves to something whole")
		f.Slots.Current = s.Slot
	case plan.Record:
		next := f.Store.Served.Next(s.Payload, s.Slot)
		f.Store.Served = &next
	case plan.Withdraw:
		f.Store.Served = nil
	case plan.Unmount:
		require.Empty(t, w.slot(s.Slot).Holders, "what is held stays")
		f.Slots.All = slices.DeleteFunc(f.Slots.All, func(v plan.Slot) bool { return v.ID == s.Slot })
	case plan.DeleteImage:
		require.False(t, slices.ContainsFunc(f.Slots.All, func(v plan.Slot) bool { return v.Image == s.Object }), "a mounted image stays")
		f.Store.Images = slices.DeleteFunc(f.Store.Images, func(i plan.Image) bool { return i.ID == s.Object })
	case plan.RemoveSandbox:
		f.Runtime.Sandboxes = slices.DeleteFunc(f.Runtime.Sandboxes, func(s2 plan.Sandbox) bool { return s2.ID == s.Object })
	case plan.Reclaim:
		f.Runtime.Asked = slices.DeleteFunc(f.Runtime.Asked, func(name string) bool { return name == s.Object })
	case plan.RemoveDropIn:
		f.Runtime.DropIn = plan.DropIn{}
	case plan.Clear:
		f.Store.Exists, f.Store.Images, f.Store.Guests, f.Store.Served, f.Store.Leftovers = false, nil, nil, nil, nil
		f.Runtime.Restarted, f.Runtime.Lacks, f.Runtime.LacksFurther, f.Runtime.LacksHandler = record.Restarted{}, "", "", ""
	default:
		t.Fatalf("step %q is unknown", s)
	}
}

// findings applies the steps about what was found out about a slot.
func (w *world) findings(t *testing.T, s plan.Step) {
	t.Helper()
	f, slot := &w.facts, w.slot(s.Slot)
	kept := func(k record.Findings) bool { return k.Slot == s.Slot }
	switch s.Kind {
	case plan.KeepFindings:
		f.Slots.Findings = append(f.Slots.Findings, record.Findings{
			Slot: s.Slot, Boot: f.Host.BootID, Build: f.Host.Build, Origin: slot.Origin, Verified: *slot.Verified,
			Proved: record.Proved{Invocation: slot.Proved, Handlers: slot.ProvedHandlers},
		})
	case plan.DropFindings:
		f.Slots.Findings = slices.DeleteFunc(f.Slots.Findings, kept)
	case plan.VerifyAgain:
		verified := *slot.Verified
		verified.Resumed, slot.Verified = false, &verified
	default:
		at := slices.IndexFunc(f.Slots.Findings, kept)
		require.GreaterOrEqual(t, at, 0, "only what was kept is taken over")
		found := f.Slots.Findings[at]
		found.Verified.Resumed = true
		slot.Mounted, slot.Configured, slot.Origin, slot.Verified = true, true, found.Origin, &found.Verified
		slot.Proved, slot.ProvedHandlers = found.Proved.Invocation, found.Proved.Handlers
	}
}

func (w *world) prove(t *testing.T, s plan.Step) {
	t.Helper()
	r, slot := &w.facts.Runtime, w.slot(s.Slot)
	switch {
	case s.Object != "" && w.older[r.Invocation]:
		r.LacksFurther, r.LacksHandler = r.Invocation, s.Object
	case s.Object != "":
		require.Equal(t, r.Invocation, slot.Proved, "kata-oc is proved first")
		slot.ProvedHandlers = append(slot.ProvedHandlers, s.Object)
		r.LacksFurther, r.LacksHandler = "", ""
	case !w.knows[r.Invocation]:
		r.Lacks = r.Invocation
	default:
		slot.Proved, slot.ProvedHandlers, r.Lacks = r.Invocation, nil, ""
	}
}

// settle takes passes, one step each and all tidying, until nothing is left to do, and returns what
// was done.
func (w *world) settle(t *testing.T) (done []plan.Kind, last plan.Plan) {
	t.Helper()
	for range 100 {
		last = plan.For(w.facts)
		if len(last.Lines) == 0 && len(last.Tidy) == 0 {
			return done, last
		}
		if len(last.Lines) > 0 {
			w.apply(t, last.Next()[0])
			done = append(done, last.Next()[0].Kind)
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
	f.Host.BootID, f.Intent.Shown, f.Cluster.PodsKnown = "b2", false, false
	f.Slots = plan.Slots{Current: plan.Pending, Proof: plan.Pending}
	f.Runtime = plan.Runtime{DropIn: f.Runtime.DropIn}
}
