// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// refusing fails each step as rpm-ostree does with an answer of a class.
func refusing(class host.OstreeClass, words string) func(context.Context, plan.Step) error {
	return func(context.Context, plan.Step) error {
		return fmt.Errorf("layering packages: %w", &host.OstreeError{Class: class, Err: errors.New(words)})
	}
}

// The status of rpm-ostree does not show who holds the system where that is ostree or bootc.
func TestASystemThatAnotherCallerHoldsIsWaitedForAndNoError(t *testing.T) {
	t.Parallel()
	w := wanting(node.StateInstalled)
	w.do = refusing(host.OstreeBusy, "System transaction in progress")
	a := w.agent(t)
	for range 50 {
		w.now = w.now.Add(a.Pass(t.Context()).Next)
	}
	assert.Nil(t, w.Reported().Error, "however often it is tried")
	last := w.said[len(w.said)-1].sentence
	assert.True(t, strings.HasPrefix(last, "waiting for rpm-ostree, which is at work for another caller (System transaction in progress); no payload serves"), last)

	w.do = refusing(host.OstreeCrashed, "Bus owner changed, aborting")
	w.now = w.now.Add(time.Hour)
	a.Pass(t.Context())
	a.Pass(t.Context())
	require.NotNil(t, w.Reported().Error)
	assert.NotContains(t, w.said[len(w.said)-1].sentence, "waiting")
}

// The caller of a transaction may have died without an end of it.
func TestAWaitThatLastsIsAWarningThatNamesWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	ours := record.Package{Name: "virtiofsd", NEVRA: "virtiofsd-1.13-1.x86_64"}
	w := wanting(node.StateAbsent)
	w.facts.Packages = packages.Facts{
		Layered: &record.Layered{Packages: []record.Package{ours}},
		System: host.OSTree{
			Exists: true, Deployments: []host.Deployment{{Booted: true, Local: []string{ours.NEVRA}}},
			Transaction: &host.Transaction{Method: "rebase", Sender: ":1.512"},
		},
	}
	a := w.agent(t)
	log := heard(t, a)
	says := func(after time.Duration) string {
		w.now = w.now.Add(after)
		a.Pass(t.Context())
		return w.said[len(w.said)-1].sentence
	}
	const what = "waiting for rpm-ostree, which works on rebase for :1.512; no payload serves"
	assert.Equal(t, what, says(0))
	assert.Equal(t, what, says(29*time.Minute))
	for range 3 {
		assert.Equal(t, what+"; the wait has lasted for more than 30 minutes", says(time.Minute))
	}
	assert.Equal(t, 1, strings.Count(log.String(), "level=warning msg=\"Waiting for more than 30 minutes for rpm-ostree, which works on rebase for :1.512\""), "%s", log)
	assert.Nil(t, w.Reported().Error)

	w.facts.Packages.System.Transaction.Method = "upgrade"
	assert.NotContains(t, says(0), "has lasted", "another wait")
	assert.Empty(t, w.steps, "a foreign transaction is left alone, however long it takes")
}

// A shim that CRI-O has forgotten ends with no pod.
func TestAProcessThatKeepsAnOlderPayloadForLongIsAWarning(t *testing.T) {
	t.Parallel()
	const forgotten = "process 7 (containerd-shim-kata-v2, of no sandbox that CRI-O lists)"
	w := serves()
	w.facts.Slots.All = append(w.facts.Slots.All, plan.Slot{
		ID: "old", Origin: record.Origin{Payload: payload, Release: "1.0.0"}, Mounted: true, Holders: []string{forgotten}, Strays: []string{forgotten},
	})
	a := w.agent(t)
	log := heard(t, a)
	says := func(after time.Duration) string {
		w.now = w.now.Add(after)
		a.Pass(t.Context())
		return w.said[len(w.said)-1].sentence
	}
	assert.NotContains(t, says(0), forgotten)
	assert.NotContains(t, says(29*time.Minute), forgotten)
	for range 2 {
		assert.Contains(t, says(time.Minute), "; waiting for more than 30 minutes for "+forgotten+" to end, which alone keeps payload 1.0.0 in slot old")
	}
	assert.Equal(t, 1, strings.Count(log.String(), "level=warning"), "%s", log)
	assert.Equal(t, node.PhaseInstalled, w.Reported().Phase)
	assert.Empty(t, w.steps, "the agent ends no process")

	w.facts.Slots.All = w.facts.Slots.All[:1]
	assert.NotContains(t, says(time.Minute), "waiting")
}

// heard returns what an agent logs from now on.
func heard(t *testing.T, a *nodeagent.Agent) *strings.Builder {
	t.Helper()
	var lines strings.Builder
	log := logrus.New()
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true})
	log.SetOutput(io.MultiWriter(&lines, t.Output()))
	a.Log = log
	return &lines
}

// triesInADay counts the tries of a step that rpm-ostree refuses with a class of answers.
func triesInADay(t *testing.T, class host.OstreeClass) (tries int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.do = refusing(class, "words")
		_, stop := beats(t, w.agent(t), 24*time.Hour)
		stop()
		tries = len(w.steps)
	})
	return tries
}

// The agent starts anew with another system, and tries at once.
func TestWhatRpmOstreeRefusesForGoodIsTriedSeldom(t *testing.T) {
	t.Parallel()
	for _, lasting := range []host.OstreeClass{host.OstreeLocked, host.OstreeConflict, host.OstreeDepsolve, host.OstreeNotFound} {
		assert.LessOrEqual(t, triesInADay(t, lasting), 55, lasting)
	}
	for _, passing := range []host.OstreeClass{host.OstreeBusy, host.OstreeCrashed, host.OstreeNetwork} {
		tries := triesInADay(t, passing)
		assert.Greater(t, tries, 200, passing)
		assert.Less(t, tries, 700, passing)
	}
}
