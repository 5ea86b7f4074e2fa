// SPDX-License-Identifier: Apache-2.0

package ladder_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/scale/scaletest"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
	"github.com/kata-node/kata-node/nodeagent/report"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// agent is one node's, with the client of the real one and no host.
type agent struct {
	number int
	client *nodeclient.Client
	// reported is called once, after its first report.
	reported func()
	// said is what it has reported last.
	said node.Report
}

// A report that the API server did not take is written again, as by the real agent: after a second
// at first, and later twice that each time. One write may take as long as one of the real agent.
const (
	firstRetry   = time.Second
	longestRetry = 32 * time.Second
	publishLimit = 30 * time.Second
)

// agent makes the agent of a node, with the node's own credential.
func (r *rung) agent(tb testing.TB, i int, log logrus.FieldLogger, reported func()) *agent {
	tb.Helper()
	config, err := r.cluster.NodeUser(scaletest.Name(i))
	require.NoError(tb, err)
	file := filepath.Join(r.dir, scaletest.Name(i))
	require.NoError(tb, r.cluster.WriteKubeconfig(file, config))
	return &agent{number: i, client: nodeclient.New(file, log), reported: reported}
}

// run answers whatever the Node says until ctx ends.
func (a *agent) run(ctx context.Context) {
	var client sync.WaitGroup
	client.Go(func() { a.client.Run(ctx) })
	defer client.Wait()
	again := time.NewTimer(firstRetry)
	defer again.Stop()
	for wait := firstRetry; ; {
		select {
		case <-ctx.Done():
			return
		case <-a.client.Changed():
		case <-again.C:
		}
		if a.answer(ctx) {
			wait = firstRetry
			continue
		}
		again.Reset(wait/2 + rand.N(wait/2)) //nolint:gosec // it spreads requests, and keeps no secret
		wait = min(2*wait, longestRetry)
	}
}

// answer reports what a node would that does all it is asked for at once, and is true where the
// Node says so.
func (a *agent) answer(ctx context.Context) bool {
	shown := a.client.State()
	if !shown.Known {
		return false
	}
	next := a.report(shown.Intent, shown.Labelled)
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	if err := a.client.Publish(ctx, next, report.MakeCondition(next, "simulated"), time.Now()); err != nil {
		return false
	}
	if a.said.Version == 0 {
		a.reported()
	}
	a.said = next
	return true
}

func (a *agent) report(document string, labelled bool) node.Report {
	r := scaletest.Idle(a.number)
	intent, err := node.DecodeIntent(document)
	switch {
	case err != nil:
	case intent.State == node.StateAbsent && labelled:
		r.Phase, r.IntentID = node.PhaseBlocked, intent.ID
	case intent.State == node.StateAbsent:
		r.Phase, r.IntentID = node.PhaseAbsent, intent.ID
	case intent.Grants.RestartCRIO == r.BootID, a.said.Payload != "":
		r.Phase, r.IntentID, r.Payload, r.Ping = node.PhaseInstalled, intent.ID, node.Digest(intent.Payload), intent.Ping
	default:
		r.Phase, r.IntentID, r.Ping = node.PhaseAwaitingGrant, intent.ID, intent.Ping
	}
	return r
}
