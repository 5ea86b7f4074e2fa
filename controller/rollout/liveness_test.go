// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

// A fleet of any size has a node that is broken. It must not be the one that all others wait for.
func TestAFirstNodeThatCannotMoveGivesItsPlaceToTheNext(t *testing.T) {
	t.Parallel()
	c := Config("c")
	installing := func(more ...State) facts.Node {
		return Worker("a", append([]State{Wanted(c), Reports(node.PhaseInstalling)}, more...)...)
	}
	silent := func(n *facts.Node) { n.Report.IntentID = "older"; n.Intent.Issued = n.Since }
	unfit := func(n *facts.Node) {
		n.Report.Error = &node.Error{Step: "verify payload", Reason: node.ReasonPayloadUnfit, Message: "made for arm64"}
	}
	for name, x := range map[string]struct {
		first facts.Node
		next  bool
	}{
		"at work":                     {installing(Unchanged(time.Minute)), false},
		"stuck":                       {installing(Unchanged(time.Hour)), true},
		"restarting":                  {installing(NotReady, Unchanged(time.Minute)), false},
		"dead":                        {installing(NotReady, Unchanged(time.Hour)), true},
		"slow to answer":              {installing(silent, Unchanged(time.Minute), silent), false},
		"silent":                      {installing(Unchanged(time.Hour), silent), true},
		"without a /dev/kvm":          {installing(Unfit), true},
		"of another architecture":     {installing(unfit), true},
		"failed a moment ago":         {installing(Fails("prove payload", "no"), Unchanged(time.Minute)), false},
		"failed for good":             {installing(Fails("prove payload", "no"), Unchanged(time.Hour)), true},
		"waits for a grant":           {Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), Granted, Unchanged(time.Minute)), false},
		"died with a grant":           {Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), Granted, Unchanged(time.Hour)), true},
		"is worked on":                {Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), Busy, Unchanged(time.Minute)), false},
		"is worked on for long":       {Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), Busy, Unchanged(time.Hour)), true},
		"may reboot":                  {Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), NeedsReboot, MayReboot, Unchanged(time.Minute)), false},
		"never rebooted":              {Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), NeedsReboot, MayReboot, Unchanged(time.Hour)), true},
		"serves with an error":        {Worker("a", Done(c), Fails("unmount payload", "no"), Unchanged(time.Minute)), false},
		"serves with an old error":    {Worker("a", Done(c), Fails("unmount payload", "no"), Unchanged(time.Hour)), true},
		"answers for another payload": {installing(func(n *facts.Node) { n.Report.Phase = node.PhaseInstalled }, Unchanged(time.Minute)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := said(plan(c, x.first, Worker("b", Idle), Worker("c", Idle)))
			assert.Equal(t, x.next, slices.Contains(changes, "b KataInstall"))
			assert.NotContains(t, changes, "c KataInstall")
		})
	}
}

func TestDeadNodesDoNotUseUpMaxParallel(t *testing.T) {
	t.Parallel()
	c := Config("c")
	nodes := []facts.Node{Worker("done", Done(c))}
	for i := range 10 {
		nodes = append(nodes, Worker(fmt.Sprintf("dead%d", i), Wanted(c), Reports(node.PhaseInstalling), NotReady, Unchanged(time.Hour)))
	}
	assert.Equal(t, []string{"w KataInstall"}, said(plan(c, append(nodes, Worker("w", Idle))...)))
}

func TestABadPayloadStopsAfterThreeNodes(t *testing.T) {
	t.Parallel()
	c := Config("c")
	failed := func(name string) facts.Node {
		return Worker(name, Wanted(c), Reports(node.PhaseInstalling), Fails("prove payload", "no"), Unchanged(time.Hour))
	}
	nodes := []facts.Node{Worker("x", Idle), Worker("y", Idle)}
	for i := range 3 {
		assert.Equal(t, []string{"x KataInstall"}, said(plan(c, nodes...)), "%d failed", i)
		nodes = append(nodes, failed(fmt.Sprintf("f%d", i)))
	}
	assert.Empty(t, said(plan(c, nodes...)))
	pool := selection.Divide([]facts.Config{c}, nodes).Pools[0]
	assert.Equal(t, map[string]bool{PayloadA: true}, rollout.PaceOf(pool, &rollout.Book{}, limits(), Noon()).Halted)

	c.MaxFailures = intstr.FromInt32(1)
	assert.Empty(t, said(plan(c, failed("f"), Worker("x", Idle))), "an administrator may allow none to follow")
}

// A payload or a drop-in that breaks CRI-O, or a deployment that does not boot, takes its node
// down.
func TestNodesThatGoDownInTheirRestartOrRebootStopARollout(t *testing.T) {
	t.Parallel()
	c := Config("c")
	for name, down := range map[string][]State{
		"restarted":                 {Reports(node.PhaseInstalling), Granted},
		"the grant was taken back":  {Reports(node.PhaseInstalling), knowsPings, Ping(Noon().Add(-time.Minute))},
		"rebooted":                  {Reports(node.PhaseAwaitingGrant), NeedsReboot, MayReboot, Cordoned},
		"failed while it went down": {Reports(node.PhaseInstalling), Fails("restart CRI-O", "job failed")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := []facts.Node{Worker("x", Idle), Worker("y", Idle)}
			for i := range 3 {
				assert.Contains(t, said(plan(c, nodes...)), "x KataInstall", "%d are down", i)
				states := append([]State{Wanted(c)}, down...)
				nodes = append(nodes, Worker(fmt.Sprintf("d%d", i), append(states, NotReady, Unchanged(10*time.Minute))...))
			}
			assert.NotContains(t, said(plan(c, nodes...)), "x KataInstall")
			pool := selection.Divide([]facts.Config{c}, nodes).Pools[0]
			assert.Equal(t, map[string]bool{PayloadA: true}, rollout.PaceOf(pool, rollout.Open(ledger.Ledger{}, nodes, limits(), Noon()), limits(), Noon()).Halted)
		})
	}
}

func TestAProvedPayloadStopsAtMaxFailures(t *testing.T) {
	t.Parallel()
	c := Config("c")
	nodes := []facts.Node{Worker("done", Done(c)), Worker("x", Idle)}
	for i := range 98 {
		state := Done(c)
		if i < 9 {
			state = func(n *facts.Node) {
				Wanted(c)(n)
				Reports(node.PhaseInstalling)(n)
				Fails("prove payload", "no")(n)
				Unchanged(time.Hour)(n)
			}
		}
		nodes = append(nodes, Worker(fmt.Sprintf("w%02d", i), state))
	}
	assert.Equal(t, []string{"x KataInstall"}, said(plan(c, nodes...)), "nine of a hundred")
	nodes = append(nodes[:99], Worker("w98", Wanted(c), Reports(node.PhaseInstalling), Fails("prove payload", "no"), Unchanged(time.Hour)))
	assert.Empty(t, said(plan(c, nodes...)), "ten of a hundred")
}

func TestANodeWithTroubleOfItsOwnIsNotTheFirst(t *testing.T) {
	t.Parallel()
	trouble := Worker("a", Idle, Fails("observe host", "input/output error"))
	assert.Equal(t, []string{"b KataInstall"}, said(plan(Config("c"), trouble, Worker("b", Idle))))
	before, after := Config("c"), Config("c", Payload(PayloadB))
	disk := Worker("a", Wanted(before), Reports(node.PhaseInstalling), Fails("pull payload", "no space left on device"))
	assert.Equal(t, []string{"b KataUpdate"}, said(plan(after, disk, Worker("b", Done(before)))))
}

func TestWhoUsesUpMaxUnavailableIsNamed(t *testing.T) {
	t.Parallel()
	c := Config("c")
	nodes := []facts.Node{
		Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant)), Worker("b", Wanted(c), Reports(node.PhaseAwaitingGrant), Granted), Worker("d", Cordoned),
	}
	pool := selection.Divide([]facts.Config{c}, nodes).Pools[0]
	assert.Equal(t, []string{"b", "d"}, rollout.PaceOf(pool, &rollout.Book{}, limits(), Noon()).Unavailable)
}

func TestAnIntentStaysWhilePodsAreBoundToANodeThatHasNothingLeft(t *testing.T) {
	t.Parallel()
	c := Config("c", Deleted)
	assert.Empty(t, said(plan(c, Worker("w", Unwanted(c), Reports(node.PhaseAbsent), Ready, Pods(1, "ns/pod")))))
}
