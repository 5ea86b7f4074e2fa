// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestTidyingGoesOnWhileStepsFail(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.facts.Slots.All = []plan.Slot{{ID: "old1"}, {ID: "old2"}}
	w.do = func(_ context.Context, s plan.Step) error {
		if s.Kind == plan.Pull || s.Slot == "old1" {
			return errRegistry
		}
		return nil
	}
	a := w.agent(t)
	assert.Zero(t, a.Pass(t.Context()).Next)
	assert.Equal(t, []string{"look", "report", "pull payload", "unmount payload", "unmount payload"}, w.events)
}

func TestTidyingHoldsUpNoStep(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.facts.Slots.All = []plan.Slot{{ID: "old1"}, {ID: "old2"}}
	w.do = func(_ context.Context, s plan.Step) error {
		if s.Kind == plan.Pull {
			w.facts.Store.Exists, w.facts.Store.Images = true, []plan.Image{{ID: "i", Digests: []string{node.Digest(payload)}}}
		}
		return nil
	}
	a := w.agent(t)
	a.Pass(t.Context())
	a.Pass(t.Context())
	assert.Equal(t, []string{"look", "report", "pull payload", "look", "report", "mount payload"}, w.events)
}

// A pull begins once what nothing needs is deleted, unless that cannot be deleted.
func TestADiskNeedsNoRoomForAThirdPayload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refusal error
		want    []string
	}{
		"deleted":      {nil, []string{"look", "report", "delete image", "look", "report", "pull payload"}},
		"it cannot be": {errRegistry, []string{"look", "report", "delete image", "pull payload"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := wanting(node.StateInstalled)
			w.facts.Store.Images = []plan.Image{{ID: "former", Digests: []string{"sha256:" + strings.Repeat("f", 64)}}}
			w.do = func(_ context.Context, s plan.Step) error {
				switch {
				case s.Kind == plan.Pull:
					w.facts.Store.Images = []plan.Image{{ID: "i", Digests: []string{node.Digest(payload)}}}
				case c.refusal == nil:
					w.facts.Store.Images = nil
				}
				return map[bool]error{true: c.refusal}[s.Kind == plan.DeleteImage]
			}
			a := w.agent(t)
			for range len(c.want) / 3 {
				a.Pass(t.Context())
			}
			assert.Equal(t, c.want, w.events)
		})
	}
}

func TestATidyStepAtATime(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.facts.Runtime.Sandboxes = []plan.Sandbox{
		{ID: "s1", Handler: node.ProofHandler, Ready: true}, {ID: "s2", Handler: node.ProofHandler, Ready: true},
	}
	w.do = func(_ context.Context, s plan.Step) error {
		if s.Kind == plan.Pull {
			return errRegistry
		}
		w.facts.Runtime.Sandboxes = w.facts.Runtime.Sandboxes[1:]
		return nil
	}
	a := w.agent(t)
	for range 3 {
		a.Pass(t.Context())
	}
	assert.Equal(t, []string{
		"look", "report", "pull payload", "remove sandbox", "look", "report", "remove sandbox", "look", "report",
	}, w.events, "the next look may bring what cannot wait")
}

func TestPruningComesAfterWhatPodsWaitFor(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.facts.Intent.Kept = false
	w.do = func(_ context.Context, s plan.Step) error {
		w.facts.Intent.Kept = true
		return nil
	}
	a := w.agent(t)
	a.Prune = func() error { w.events = append(w.events, "prune"); return nil }
	a.Pass(t.Context())
	a.Pass(t.Context())
	assert.Equal(t, []string{"look", "report", "keep intent", "prune", "pull payload", "look", "report", "pull payload"}, w.events)
}

func TestAStoreIsPrunedWithoutAPull(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateAbsent)
	a := w.agent(t)
	a.Prune = func() error { w.events = append(w.events, "prune"); return errRegistry }
	assert.Zero(t, a.Pass(t.Context()).Next, "a store that could not be read may be gone")
	assert.Equal(t, time.Minute, a.Pass(t.Context()).Next)
	assert.Equal(t, []string{"look", "report", "prune", "look", "report"}, w.events)
}

// What cannot be fetched ahead of time makes no node fail: it serves as it should.
func TestAFailedPrefetchIsNoErrorOfTheNode(t *testing.T) {
	t.Parallel()
	w := serves()
	w.facts.Intent.Wanted.Prefetch = "r.example/p@sha256:" + strings.Repeat("b", 64)
	w.do = func(context.Context, plan.Step) error { return errRegistry }
	a := w.agent(t)
	for range 4 {
		a.Pass(t.Context())
		w.now = w.now.Add(time.Minute)
	}
	require.NotEmpty(t, w.steps)
	assert.Equal(t, plan.Prefetch, w.steps[0].Kind)
	assert.Equal(t, node.PhaseInstalled, w.Reported().Phase)
	assert.Nil(t, w.Reported().Error)
}

func TestATidyStepThatGoesOnFailingIsAnErrorOnceNothingElseIs(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	sandbox := func(id string) plan.Sandbox { return plan.Sandbox{ID: id, Handler: node.ProofHandler, Ready: true} }
	w.facts.Runtime.Sandboxes = []plan.Sandbox{sandbox("s1"), sandbox("s2")}
	w.do = func(_ context.Context, s plan.Step) error {
		switch {
		case s.Kind == plan.Pull:
			return errRegistry
		case s.Object == "s2":
			return errors.New("removing sandbox s2: deadline exceeded")
		}
		return errors.New("removing sandbox s1: deadline exceeded")
	}
	a := w.agent(t)
	for range 4 {
		a.Pass(t.Context())
		w.now = w.now.Add(time.Minute)
	}
	assert.Equal(t, errRegistry.Error(), w.Reported().Error.Message, "the pull comes first")

	w.facts.Host.Problem, w.facts.Host.SettingsProblem = "", "no such directory"
	a.Pass(t.Context())
	assert.Equal(t, node.ReasonSettingsUnreadable, w.Reported().Error.Reason, "so does a problem")

	w.facts.Host.SettingsProblem = ""
	w.facts.Slots.Current, w.facts.Slots.Proof = plan.SlotID("", "", ""), plan.SlotID("", "", "")
	w.facts.Slots.All = []plan.Slot{{
		ID: plan.SlotID("", "", ""), Origin: record.Origin{Payload: payload}, Mounted: true, Verified: &record.Verified{HandlerType: "vm"}, Configured: true, Proved: "c1",
	}}
	w.facts.Store.Served = &record.Served{Payload: payload, Slot: plan.SlotID("", "", "")}
	w.facts.Runtime.DropIn = plan.DropIn{Exists: true, Right: true}
	a.Pass(t.Context())
	require.NotNil(t, w.Reported().Error)
	assert.Equal(t, "removing sandbox s1: deadline exceeded", w.Reported().Error.Message)
	assert.NotEmpty(t, w.Reported().Payload, "the payload serves")

	w.facts.Runtime.Sandboxes = []plan.Sandbox{sandbox("s3")}
	a.Pass(t.Context())
	a.Pass(t.Context())
	assert.Nil(t, w.Reported().Error, "one failure, or that of another object, is no news")
}

func TestTheFailureInTheReportIsTheOneOfTheStepItself(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := wanting(node.StateAbsent)
		w.facts.Slots.All = []plan.Slot{{ID: "v1"}, {ID: "v2"}}
		w.do = func(_ context.Context, s plan.Step) error { return errors.New("unmounting " + s.Slot) }
		a := w.agent(t)
		a.Pass(t.Context())
		w.facts.Slots.All = []plan.Slot{{ID: "v2"}, {ID: "v1"}}
		a.Pass(t.Context())
		found := a.Pass(t.Context()).Report.Error
		require.NotNil(t, found)
		require.Equal(t, "unmounting v2", found.Message)
	}
}

// The last step of a removal leaves nothing that a plan could be made of.
func TestARemovalIsTidiedBeforeItsLastStep(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateAbsent)
	w.facts.Store.Leftovers = []string{"/a/leftover"}
	w.facts.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Handler: node.Handler}, {ID: "s2", Handler: node.Handler}}
	w.agent(t).Pass(t.Context())
	assert.Equal(t, []string{"look", "report", "remove sandbox", "remove sandbox", "clear store and state"}, w.events)
}
