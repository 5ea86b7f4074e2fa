// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/inspect"
)

// pullsInADay counts the pulls of a payload whose verification always fails, as if it were
// discarded each time.
func pullsInADay(t *testing.T, failure error) (pulls int, message string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		here := []plan.Image{{ID: "i", Digests: []string{node.Digest(payload)}, Platform: node.Digest(payload)}}
		slots := []plan.Slot{{ID: plan.SlotID(here[0].Platform, "", ""), Mounted: true}}
		w.do = func(_ context.Context, s plan.Step) error {
			switch s.Kind {
			case plan.Pull:
				pulls++
				w.facts.Store.Images = here
			case plan.Mount:
				w.facts.Slots.All = slots
			case plan.Verify:
				w.facts.Store.Images, w.facts.Slots.All = nil, nil
				return failure
			}
			return nil
		}
		_, stop := beats(t, w.agent(t), 24*time.Hour)
		stop()
		message = w.Reported().Error.Message
	})
	return pulls, message
}

func TestAPayloadThatContradictsItsOwnLabelIsPulledSeldom(t *testing.T) {
	t.Parallel()
	pulls, message := pullsInADay(t, fmt.Errorf("verifying: %w", &inspect.Mismatch{Path: "usr/bin/shim", Problem: "sha256 is wrong"}))
	assert.LessOrEqual(t, pulls, 55)
	assert.Contains(t, message, "the same after another pull, so the payload itself is wrong")
	assert.Contains(t, message, "usr/bin/shim")

	pulls, message = pullsInADay(t, errors.New("connection reset by CRI-O"))
	assert.Greater(t, pulls, 200, "what may pass is tried more often")
	assert.NotContains(t, message, "itself is wrong")
}

func TestAPayloadThatThisHostCannotUseIsAskedForSeldom(t *testing.T) {
	t.Parallel()
	asked := func(failure error) int { return asked(t, func() error { return failure }) }
	assert.LessOrEqual(t, asked(fmt.Errorf("pulling: %w", &host.Unfit{Problem: "it is for s390x"})), 55)
	assert.LessOrEqual(t, asked(&host.Fault{Kind: host.Lasting, Err: errors.New("StatusCode: 404")}), 55)
	assert.LessOrEqual(t, asked(&host.Fault{Kind: host.Throttled, Err: errors.New("StatusCode: 429")}), 24*60/2)
	assert.Greater(t, asked(&host.Fault{Kind: host.Passing, Err: errors.New("StatusCode: 503")}), 200)
	assert.Greater(t, asked(errors.New("no route to host")), 200, "what may pass is tried more often")
}

func TestALastingFaultIsTriedAgainOnceTheHostHasOtherSettings(t *testing.T) {
	t.Parallel()
	var tries []time.Time
	asked(t, func() error {
		now := time.Now()
		tries = append(tries, now)
		if len(tries) > 1 {
			return nil
		}
		return &host.Fault{Kind: host.Lasting, Err: errors.New("StatusCode: 401"), Changed: func() bool { return time.Since(now) > time.Second }}
	})
	assert.LessOrEqual(t, tries[1].Sub(tries[0]), time.Minute, "with the next look, and not after minutes")
}

// asked returns how often a payload is pulled in a day.
func asked(t *testing.T, pull func() error) (times int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.do = func(_ context.Context, s plan.Step) error {
			if s.Kind != plan.Pull {
				return nil
			}
			times++
			return pull()
		}
		_, stop := beats(t, w.agent(t), 24*time.Hour)
		stop()
	})
	return times
}
