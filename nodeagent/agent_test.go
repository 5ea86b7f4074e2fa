// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

var errRegistry = errors.New(`pulling payload "p": no route to host`)

func TestAPassLooksReportsAndTakesOneStep(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	assert.Zero(t, w.agent(t).Pass(t.Context()).Next, "the next look comes at once")
	assert.Equal(t, []string{"look", "report", string(plan.Pull)}, w.events)
	assert.Equal(t, node.PhaseInstalling, w.reports[0].Phase)
}

func TestStepsThatAreCertainFollowEachOtherWithoutALook(t *testing.T) {
	t.Parallel()
	w := serves()
	w.facts.Intent.Kept, w.facts.Slots.Current, w.facts.Store.Served = false, plan.Pending, nil
	a := w.agent(t)
	assert.Zero(t, a.Pass(t.Context()).Next)
	assert.Equal(t, []string{"look", "report", "keep intent", "record payload", "point current"}, w.events, "another look sees what has come of them")

	w = serves()
	w.facts.Intent.Kept, w.facts.Slots.Current, w.facts.Store.Served = false, plan.Pending, nil
	w.do = func(_ context.Context, s plan.Step) error {
		if s.Kind == plan.Record {
			return errRegistry
		}
		w.facts.Intent.Kept = true
		return nil
	}
	a = w.agent(t)
	assert.Zero(t, a.Pass(t.Context()).Next, "a step has succeeded")
	assert.NotZero(t, a.Pass(t.Context()).Next)
	assert.Equal(t, []string{"look", "report", "keep intent", "record payload", "look", "report"}, w.events, "one that fails waits as always")
	require.NotNil(t, w.Reported().Error)
	assert.Equal(t, errRegistry.Error(), w.Reported().Error.Message)
}

func TestAPassWithoutStepsRests(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateAbsent)
	assert.Equal(t, time.Minute, w.agent(t).Pass(t.Context()).Next)
	assert.Equal(t, []string{"look", "report"}, w.events)

	w.facts.Runtime.DropIn.Exists, w.facts.Cluster.BoundPods = true, []string{"ns/pod"}
	assert.Equal(t, 2*time.Second, w.agent(t).Pass(t.Context()).Next, "but not for long while it waits for something that sends no event")
	assert.Equal(t, node.PhaseBlocked, w.Reported().Phase)
}

func TestANodeThatComesToRestIsNoticedOnce(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateAbsent)
	a := w.agent(t)
	rests := 0
	a.Rest = func() { rests++ }
	for _, want := range []int{0, 1, 1, 1} {
		a.Pass(t.Context())
		assert.Equal(t, want, rests)
	}
	w.facts.Runtime.DropIn.Exists, w.facts.Cluster.BoundPods = true, []string{"ns/pod"}
	for _, want := range []int{1, 2, 2} {
		a.Pass(t.Context())
		assert.Equal(t, want, rests, "again after something else was found")
	}
}

func TestAFailingStepBacksOffAndStaysInTheReportUntilItSucceeds(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.do = func(context.Context, plan.Step) error { return errRegistry }
	a := w.agent(t)
	longest := time.Duration(0)
	for try := range 20 {
		wait := a.Pass(t.Context()).Next
		require.Len(t, w.steps, try+1)
		ceiling := min(time.Second<<min(try, 16), 5*time.Minute)
		assert.LessOrEqual(t, wait, ceiling)
		assert.GreaterOrEqual(t, wait, ceiling/2)
		longest = max(longest, wait)

		early := a.Pass(t.Context()).Next
		assert.Len(t, w.steps, try+1, "a look before its time does not try again")
		assert.LessOrEqual(t, early, time.Minute)
		require.NotNil(t, w.Reported().Error)
		assert.Equal(t, errRegistry.Error(), w.Reported().Error.Message)
		w.now = w.now.Add(wait)
	}
	assert.Greater(t, longest, 2*time.Minute, "a registry serves many nodes")
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), w.Reported().Error.Since, "since the first failure")

	w.do = func(context.Context, plan.Step) error {
		w.facts.Store.Exists, w.facts.Store.Images = true, []plan.Image{{ID: "i", Digests: []string{node.Digest(payload)}}}
		return nil
	}
	assert.Zero(t, a.Pass(t.Context()).Next)
	a.Pass(t.Context())
	assert.Nil(t, w.Reported().Error)
}

func TestTheNextCausesOfAFailureAreReportedAtOnceAndThenOneInFiveMinutes(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	a := w.agent(t)
	// reported is what the report says after the step has failed by another cause.
	reported := func(after time.Duration, cause string) string {
		w.now = w.now.Add(after)
		w.do = func(context.Context, plan.Step) error { return errors.New(cause) }
		a.Pass(t.Context())
		a.Pass(t.Context())
		require.NotNil(t, w.Reported().Error)
		return w.Reported().Error.Message
	}
	for _, cause := range []string{"no route", "no such host", "unauthorized", "not found"} {
		assert.Equal(t, cause, reported(time.Minute, cause), "an administrator repairs one after the other")
	}
	assert.Equal(t, "not found", reported(time.Minute, "port 1"), "with a text that is another one each time, that is enough")
	assert.Equal(t, "port 1", reported(5*time.Minute, "port 1"))
	assert.Equal(t, "port 1", reported(time.Minute, "port 2"))
	assert.Equal(t, "port 2", reported(time.Hour, "port 2"))
	for _, cause := range []string{"unauthorized", "not found"} {
		assert.Equal(t, cause, reported(5*time.Minute, cause), "after an hour of one text")
	}
}

func TestAStepThatOnlyAnotherProcessCanTakeEndsThisOne(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	problem := errors.New("x509: certificate signed by unknown authority")
	w.do = func(context.Context, plan.Step) error { return problem }
	a := w.agent(t)
	a.Pass(t.Context())
	assert.Empty(t, w.renewed)
	outdated := &host.Outdated{What: "/etc/ssl/cert.pem", Err: problem}
	w.do = func(context.Context, plan.Step) error { return fmt.Errorf("pulling payload: %w", outdated) }
	w.now = w.now.Add(time.Hour)
	a.Pass(t.Context())
	require.Len(t, w.renewed, 1)
	assert.ErrorContains(t, w.renewed[0], "unknown authority; /etc/ssl/cert.pem has changed since this process read it")
}

func TestAStepWithoutEffectIsAFailure(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	a := w.agent(t)
	assert.Zero(t, a.Pass(t.Context()).Next)
	assert.NotZero(t, a.Pass(t.Context()).Next, "nothing spins")
	a.Pass(t.Context())
	require.NotNil(t, w.Reported().Error)
	assert.Contains(t, w.Reported().Error.Message, "pull payload "+payload+": done, yet it is still to do")
}

func TestTheSameWorkAtALaterTimeIsNoFailure(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateAbsent)
	w.do = func(context.Context, plan.Step) error { w.facts.Intent.Kept = true; return nil }
	a := w.agent(t)
	for range 3 {
		w.facts.Intent.Kept = false
		assert.Zero(t, a.Pass(t.Context()).Next, "another intent is kept")
		a.Pass(t.Context())
		assert.Nil(t, w.Reported().Error)
	}
	assert.Len(t, w.steps, 3)
}

func TestADamagedPayloadIsNamedWhileItIsPulledAgain(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	here := []plan.Image{{ID: "i", Digests: []string{node.Digest(payload)}, Platform: node.Digest(payload)}}
	version := plan.SlotID(here[0].Platform, "", "")
	w.facts.Store.Images, w.facts.Slots.All = here, []plan.Slot{{ID: version, Mounted: true}}
	w.do = func(_ context.Context, s plan.Step) error {
		switch s.Kind {
		case plan.Verify:
			w.facts.Store.Images, w.facts.Slots.All = nil, nil
			return errors.New("verifying payload: usr/bin/shim: sha256 is wrong")
		case plan.Pull:
			w.facts.Store.Images = here
		case plan.Mount:
			w.facts.Slots.All = []plan.Slot{{ID: version, Mounted: true}}
		}
		return nil
	}
	a := w.agent(t)
	for range 4 {
		a.Pass(t.Context())
	}
	assert.Equal(t, []string{"look", "report", "verify payload", "look", "report", "pull payload", "look", "report", "mount payload", "look", "report"}, w.events)
	for _, r := range w.reports[1:] {
		require.NotNil(t, r.Error)
		assert.Contains(t, r.Error.Message, "usr/bin/shim")
	}
}

func TestAHostThatCannotBeObservedIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.blind = errors.New("observing the host: input/output error")
	assert.Equal(t, 5*time.Second, w.agent(t).Pass(t.Context()).Next)
	assert.Equal(t, []string{"look"}, w.events)
	assert.Equal(t, []saying{{"observing the host: input/output error", false}}, w.said)
}

func TestWhyAHostCannotBeObservedIsAddedToItsLastReport(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	a := w.agent(t)
	a.Pass(t.Context())
	last := w.Reported()
	w.blind = errors.New("observing the host: input/output error")
	a.Pass(t.Context())
	assert.Nil(t, w.Reported().Error, "one look that fails is no news")
	w.now = w.now.Add(30 * time.Second)
	a.Pass(t.Context())
	require.NotNil(t, w.Reported().Error)
	assert.Equal(t, "observing the host: input/output error", w.Reported().Error.Message)
	last.Error = w.Reported().Error
	assert.Equal(t, last, w.Reported(), "nothing else is claimed")

	w.blind = nil
	a.Pass(t.Context())
	assert.Nil(t, w.Reported().Error)
}

func TestAnAgentThatNeverSawItsHostSaysSo(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.blind = errors.New("observing the host: input/output error")
	a := w.agent(t)
	a.Pass(t.Context())
	w.now = w.now.Add(time.Minute)
	a.Pass(t.Context())
	require.Len(t, w.reports, 1)
	assert.Equal(t, node.PhaseIdle, w.reports[0].Phase)
	assert.Equal(t, node.ReasonHostNotObserved, w.reports[0].Error.Reason)
	_, err := w.reports[0].Encode()
	require.NoError(t, err)
}

func TestAReportThatIsNotTakenKeepsNobodyFromWork(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{cluster.ErrUnknownNode, errors.New("connection refused")} {
		w := wanting(node.StateInstalled)
		w.refuse = refusal
		w.agent(t).Pass(t.Context())
		assert.Len(t, w.steps, 1)
	}
}

func TestPodsAreToldWhyOnlyWhileAPayloadIsWantedAndNoneServes(t *testing.T) {
	t.Parallel()
	serving := wanting(node.StateInstalled)
	serving.facts.Slots.Current, serving.facts.Slots.All = "v", []plan.Slot{{ID: "v", Origin: record.Origin{Payload: payload}, Mounted: true, Verified: &record.Verified{}, Configured: true}}
	removing := wanting(node.StateAbsent)
	removing.facts.Store.Leftovers = []string{"/a/leftover"}
	idle := wanting(node.StateAbsent)
	idle.facts.Intent.Wanted = nil
	for name, c := range map[string]struct {
		w       *world
		pending bool
	}{
		"installing": {wanting(node.StateInstalled), true}, "serving": {serving, false}, "removing": {removing, false},
		"absent": {wanting(node.StateAbsent), false}, "idle": {idle, false},
	} {
		c.w.agent(t).Pass(t.Context())
		require.Len(t, c.w.said, 1, name)
		assert.Equal(t, c.pending, c.w.said[0].pending, name)
	}
}

func TestAnErrorOfAnEarlierPayloadDoesNotAnswerTheNextIntent(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.do = func(context.Context, plan.Step) error { return errors.New("pulling payload: manifest unknown") }
	a := w.agent(t)
	a.Pass(t.Context())
	a.Pass(t.Context())
	require.NotNil(t, w.Reported().Error)
	next := node.Intent{State: node.StateInstalled, Payload: "r.example/p@sha256:" + strings.Repeat("b", 64)}.Identify("node")
	w.facts.Intent.Wanted, w.facts.Intent.ID = &next, next.ID
	w.do = func(context.Context, plan.Step) error { return nil } // It will work, and takes minutes.
	a.Pass(t.Context())
	assert.Equal(t, next.ID, w.Reported().IntentID)
	assert.Nil(t, w.Reported().Error)
}
