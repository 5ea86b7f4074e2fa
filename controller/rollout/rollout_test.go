// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

func limits() rollout.Limits {
	return rollout.Limits{Answer: 5 * time.Minute, Progress: 30 * time.Minute, Grace: 10 * time.Minute}
}

func plan(c facts.Config, nodes ...facts.Node) []rollout.Change {
	d := selection.Divide([]facts.Config{c}, nodes)
	pace := rollout.PaceOf(d.Pools[0], rollout.Open(ledger.Ledger{}, nodes, limits(), Noon()), limits(), Noon())
	return append(rollout.Plan(d.Pools[0], pace, Noon()), rollout.PlanUnowned(d.Unowned, Noon())...)
}

// said is what happens to each node, in short.
func said(changes []rollout.Change) []string {
	out := []string{}
	for _, c := range changes {
		out = append(out, c.Node.Name+" "+c.Event)
	}
	return out
}

func TestTheFirstNodeGoesAlone(t *testing.T) {
	t.Parallel()
	c := Config("c")
	changes := plan(c, Worker("b", Idle), Worker("a", Idle), Worker("c", Idle))
	require.Equal(t, []string{"a KataInstall"}, said(changes))
	intent := changes[0].Intent
	assert.Equal(t, node.StateInstalled, intent.State)
	assert.Equal(t, PayloadA, intent.Payload)
	assert.Equal(t, node.Owner{Name: "c", UID: "uid-of-c"}, intent.Owner)
	assert.Equal(t, Noon(), intent.Issued)
	assert.Equal(t, intent.Identify("uid-of-a").ID, intent.ID)
	assert.NoError(t, intent.Validate())
}

func TestTheOthersFollowWhenTheFirstHasProvedThePayload(t *testing.T) {
	t.Parallel()
	c := Config("c")
	assert.Equal(t, []string{"b KataInstall", "c KataInstall"}, said(plan(c, Worker("a", Done(c)), Worker("b", Idle), Worker("c", Idle))))
}

func TestEveryPayloadHasAFirstNode(t *testing.T) {
	t.Parallel()
	before, after := Config("c"), Config("c", Payload(PayloadB))
	nodes := []facts.Node{Worker("a", Done(before)), Worker("b", Done(before)), Worker("c", Done(before))}
	assert.Equal(t, []string{"a KataUpdate"}, said(plan(after, nodes...)))
	nodes[0] = Worker("a", Done(after))
	assert.Equal(t, []string{"b KataUpdate", "c KataUpdate"}, said(plan(after, nodes...)))
}

func TestANodeThatAnotherKataConfigProvedIsAFirstNodeToo(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"a KataUpdate", "b KataInstall"}, said(plan(Config("new"), Worker("a", Done(Config("old"))), Worker("b", Idle))))
}

func TestAFailedFirstNodeHoldsTheOthers(t *testing.T) {
	t.Parallel()
	c := Config("c")
	broken := Worker("a", Wanted(c), Reports(node.PhaseInstalling), Fails("proof", "the shim exited with 1"))
	assert.Empty(t, said(plan(c, broken, Worker("b", Idle))))
}

func TestAHostThatCannotRunKataHoldsNobody(t *testing.T) {
	t.Parallel()
	c := Config("c")
	unfit := Worker("a", Wanted(c), Reports(node.PhaseInstalling), Unfit)
	assert.Equal(t, []string{"b KataInstall"}, said(plan(c, unfit, Worker("b", Idle))))
}

func TestFitHostsGoFirst(t *testing.T) {
	t.Parallel()
	c := Config("c")
	assert.Empty(t, said(plan(c, Worker("a", Idle, Unfit))), "an unfit one proves nothing")
	assert.Empty(t, said(plan(c, Worker("a", Idle, Unfit), Worker("b", Wanted(c), Reports(node.PhaseInstalling)))))
	assert.Equal(t, []string{"a KataInstall"}, said(plan(c, Worker("a", Idle, Unfit), Worker("b", Done(c)))), "it may be fit by the time that it looks")
	assert.Equal(t, []string{"b KataInstall"}, said(plan(Config("c"), Worker("a", Idle, Unfit), Worker("b", Idle))))
}

func TestHostsWithoutVirtualizationGoLast(t *testing.T) {
	t.Parallel()
	warns := func(n *facts.Node) { n.Report.HostWarning = "the host has no /dev/kvm" }
	assert.Equal(t, []string{"b KataInstall"}, said(plan(Config("c"), Worker("a", Idle, warns), Worker("b", Idle))))
	assert.Equal(t, []string{"a KataInstall"}, said(plan(Config("c"), Worker("a", Idle, warns))), "the payload may need none")
}

// What keeps a host from one payload says nothing of the next one.
func TestAHostThatWasUnfitForAnotherPayloadMayBeFirst(t *testing.T) {
	t.Parallel()
	c := Config("c", Payload(PayloadB))
	unfit := Worker("a", Wanted(Config("c")), Reports(node.PhaseInstalling), Unfit)
	assert.Equal(t, []string{"a KataInstall"}, said(plan(c, unfit)))
	assert.Equal(t, []string{"b KataInstall"}, said(plan(c, unfit, Worker("b", Idle))), "where there is no other one")
}

func TestNoMoreThanMaxParallelNodesAreOnTheirWay(t *testing.T) {
	t.Parallel()
	c := Config("c")
	c.MaxParallel = 3
	nodes := []facts.Node{Worker("done", Done(c)), Worker("busy", Wanted(c), Reports(node.PhaseInstalling))}
	for i := range 5 {
		nodes = append(nodes, Worker(fmt.Sprintf("w%d", i), Idle))
	}
	assert.Equal(t, []string{"w0 KataInstall", "w1 KataInstall"}, said(plan(c, nodes...)))
}

func TestNodesThatCannotBeginWait(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]facts.Node{
		"no agent":          Worker("w"),
		"NotReady":          Worker("w", Idle, NotReady),
		"cordoned":          Worker("w", Idle, Cordoned),
		"worked on":         Worker("w", Idle, Busy),
		"unreadable report": Worker("w", Unreadable),
		"older protocol":    Worker("w", Idle, func(n *facts.Node) { n.Report.Speaks = []int{0} }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, said(plan(Config("c"), n)))
			assert.Equal(t, []string{"x KataInstall"}, said(plan(Config("c"), n, Worker("x", Idle))), "the next one is the first")
		})
	}
}

func TestNothingIsStartedForAKataConfigThatIsNotGood(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]Change{
		"paused":        Paused,
		"not accepted":  func(c *facts.Config) { c.Accepted = false },
		"refused":       func(c *facts.Config) { c.Refused = &facts.Refusal{Reason: facts.ReasonRuntimeClassConflict} },
		"without image": func(c *facts.Config) { c.Payload, c.Refused = "", &facts.Refusal{Reason: facts.ReasonNoPayload} },
		"bad selector": func(c *facts.Config) {
			c.Selector, c.Refused = nil, &facts.Refusal{Reason: facts.ReasonInvalidSelector}
		},
		"being deleted":  Deleted,
		"selects others": Selects("a", "b"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, said(plan(Config("c", change), Worker("w", Idle))))
		})
	}
}

func TestPausedWritesNoNode(t *testing.T) {
	t.Parallel()
	c := Config("c", Paused, Selects("kata", "yes"))
	kata := With("kata", "yes")
	assert.Empty(t, said(plan(c,
		Worker("new", kata, Idle),
		Worker("proved", kata, Wanted(c), Reports(node.PhaseInstalled)),
		Worker("asks", kata, Wanted(c), Reports(node.PhaseAwaitingGrant)),
		Worker("left", Done(c)),
		Worker("gone", Unwanted(c), Reports(node.PhaseAbsent)),
	)))
}

func TestAnUpdateKeepsLabelAndGrants(t *testing.T) {
	t.Parallel()
	before, after := Config("c"), Config("c", Payload(PayloadB))
	changes := plan(after, Worker("a", Done(before), Granted))
	require.Equal(t, []string{"a KataUpdate"}, said(changes))
	assert.Equal(t, PayloadB, changes[0].Intent.Payload)
	assert.Equal(t, rollout.LabelKept, changes[0].Label)
	assert.Empty(t, changes[0].Intent.Grants.RestartCRIO, "a used grant is not given again")

	midway := Worker("a", Wanted(before), Granted, Reports(node.PhaseInstalling))
	changes = plan(after, midway)
	require.Equal(t, []string{"a KataInstall"}, said(changes))
	assert.Equal(t, "boot-1", changes[0].Intent.Grants.RestartCRIO, "CRI-O may be restarting at this moment: that still counts")
}

func TestANodeStuckWithABadPayloadIsTheFirstToGetTheNextOne(t *testing.T) {
	t.Parallel()
	before, after := Config("c"), Config("c", Payload(PayloadB))
	stuck := Worker("z", Wanted(before), Reports(node.PhaseInstalling), Fails("prove payload", "no"))
	assert.Equal(t, []string{"z KataInstall"}, said(plan(after, Worker("a", Idle), stuck)))
}

func TestAnIntentThatVanishedIsGivenBack(t *testing.T) {
	t.Parallel()
	c := Config("c")
	for name, nodes := range map[string][]facts.Node{
		"at work":        {Worker("w", Wanted(c), Reports(node.PhaseInstalling), Vanished)},
		"installed":      {Worker("w", Done(c), Vanished)},
		"others at work": {Worker("w", Done(c), Vanished), Worker("x", Wanted(c), Reports(node.PhaseInstalling))},
		"edited":         {Worker("w", Done(c), func(n *facts.Node) { n.Intent.Payload = PayloadB })},
		"unreadable":     {Worker("w", Done(c), func(n *facts.Node) { n.Intent = nil })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := plan(c, nodes...)
			require.Len(t, changes, 1)
			wanted := selection.Install(c, nodes[0])
			assert.Equal(t, wanted.ID, changes[0].Intent.ID)
			assert.Equal(t, PayloadA, changes[0].Intent.Payload)
			assert.Equal(t, rollout.LabelKept, changes[0].Label)
		})
	}
}

func TestANodeMadeAgainUnderAnotherUIDGetsAnIntentOfItsOwn(t *testing.T) {
	t.Parallel()
	c := Config("c")
	old := Worker("w", Done(c))
	again := Worker("w", Done(c), Vanished, Without(node.ReadyLabel), func(n *facts.Node) { n.UID = "another" })
	changes := plan(c, again)
	require.Equal(t, []string{"w KataInstall"}, said(changes))
	assert.NotEqual(t, old.Intent.ID, changes[0].Intent.ID)
}

func TestTheLabelNeedsBothWitnesses(t *testing.T) {
	t.Parallel()
	c := Config("c")
	for name, x := range map[string]struct {
		node facts.Node
		want []string
	}{
		"both":                {Worker("w", Wanted(c), Reports(node.PhaseInstalled), Serves("runc", node.Handler)), []string{"w KataReady"}},
		"kubelet lists none":  {Worker("w", Wanted(c), Reports(node.PhaseInstalled)), []string{"w KataReady"}},
		"kubelet knows not":   {Worker("w", Wanted(c), Reports(node.PhaseInstalled), Serves("runc")), []string{}},
		"agent still at work": {Worker("w", Wanted(c), Reports(node.PhaseInstalling), Serves(node.Handler)), []string{}},
		"report of old boot":  {Worker("w", Wanted(c), Reports(node.PhaseInstalled), Rebooted), []string{}},
		"answers another intent": {
			Worker("w", Wanted(c), Reports(node.PhaseInstalled), func(n *facts.Node) { n.Report.IntentID = "other" }), []string{},
		},
		"labelled already": {Worker("w", Done(c)), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, x.want, said(plan(c, x.node)))
		})
	}
}

func TestTheLabelOfAFurtherHandlerNeedsBothWitnesses(t *testing.T) {
	t.Parallel()
	c := Config("c", Handlers("debug", "rs"))
	done := []State{Wanted(c), Reports(node.PhaseInstalled), Ready}
	for name, x := range map[string]struct {
		states []State
		want   []string
	}{
		"both":                  {[]State{Proves("debug", "rs"), Serves("kata-oc", "kata-oc-rs")}, []string{"rs"}},
		"kubelet lists none":    {[]State{Proves("debug", "rs")}, []string{"debug", "rs"}},
		"an older agent":        {nil, nil},
		"one is labelled":       {[]State{Proves("debug", "rs"), Carries("rs")}, []string{"debug"}},
		"an error":              {[]State{Proves("debug", "rs"), Fails("x", "y")}, nil},
		"report of an old boot": {[]State{Proves("debug", "rs"), Rebooted}, nil},
		"all are labelled":      {[]State{Proves("debug", "rs"), Carries("rs"), Carries("debug")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := plan(c, Worker("w", append(done, x.states...)...))
			if x.want == nil {
				assert.Empty(t, changes)
				return
			}
			require.Equal(t, []string{"w KataReady"}, said(changes))
			assert.Equal(t, x.want, changes[0].Further)
			assert.Equal(t, rollout.LabelKept, changes[0].Label)
		})
	}
	first := plan(c, Worker("w", Wanted(c), Reports(node.PhaseInstalled), Proves("debug", "rs")))
	require.Len(t, first, 1, "all labels in one write")
	assert.Equal(t, rollout.LabelSet, first[0].Label)
	assert.Equal(t, []string{"debug", "rs"}, first[0].Further)
}

func TestANewHandlerIsProvedByOneNodeFirst(t *testing.T) {
	t.Parallel()
	c := Config("c", Handlers("rs"))
	before := Done(Config("c"))
	assert.Equal(t, []string{"a KataUpdate"}, said(plan(c, Worker("a", before), Worker("b", before), Worker("d", before))))
	proved := []State{Done(c), Proves("rs"), Carries("rs")}
	assert.Equal(t, []string{"b KataUpdate", "d KataUpdate"}, said(plan(c, Worker("a", proved...), Worker("b", before), Worker("d", before))))
}

func TestNothingButRemovalTakesTheLabelAway(t *testing.T) {
	t.Parallel()
	c := Config("c")
	for name, n := range map[string]facts.Node{
		"error":      Worker("w", Done(c), Fails("proof", "no")),
		"reboot":     Worker("w", Done(c), Rebooted),
		"NotReady":   Worker("w", Done(c), NotReady),
		"stale":      Worker("w", Done(c), func(n *facts.Node) { n.Report.IntentID = "older" }),
		"silent":     Worker("w", Done(c), func(n *facts.Node) { n.Report = nil }),
		"unreadable": Worker("w", Done(c), Unreadable),
		"no handler": Worker("w", Done(c), Serves("runc")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, plan(c, n))
		})
	}
}

func TestRestartsStayWithinMaxUnavailable(t *testing.T) {
	t.Parallel()
	c := Config("c")
	asks := func(name string, more ...State) facts.Node {
		return Worker(name, append([]State{Wanted(c), Reports(node.PhaseAwaitingGrant)}, more...)...)
	}
	two, half := intstr.FromInt32(2), intstr.FromString("50%")
	for name, x := range map[string]struct {
		budget *intstr.IntOrString
		nodes  []facts.Node
		want   []string
	}{
		"one by default":                    {nil, []facts.Node{asks("a"), asks("b")}, []string{"a KataRestartGranted"}},
		"two":                               {&two, []facts.Node{asks("a"), asks("b"), asks("c")}, []string{"a KataRestartGranted", "b KataRestartGranted"}},
		"half of five, rounded down":        {&half, []facts.Node{asks("a"), asks("b"), asks("c"), asks("d"), asks("e")}, []string{"a KataRestartGranted", "b KataRestartGranted"}},
		"half of one is one":                {&half, []facts.Node{asks("a")}, []string{"a KataRestartGranted"}},
		"a NotReady node is within it":      {nil, []facts.Node{asks("a"), Worker("b", NotReady)}, []string{"a KataRestartGranted"}},
		"more of them than it allows count": {nil, []facts.Node{asks("a"), Worker("b", NotReady), Worker("c", Cordoned)}, []string{}},
		"a node that we made NotReady does": {nil, []facts.Node{asks("a"), asks("b", Granted, NotReady)}, []string{}},
		"one that failed after it does not": {nil, []facts.Node{asks("a"), Worker("b", Wanted(c), Granted, Reports(node.PhaseInstalling), Fails("prove payload", "no /dev/kvm"))}, []string{"a KataRestartGranted"}},
		"one that failed and is cordoned":   {nil, []facts.Node{asks("a"), Worker("b", Wanted(c), Granted, Reports(node.PhaseInstalling), Fails("prove payload", "no"), Cordoned)}, []string{"a KataRestartGranted"}},
		"one that died with its grant":      {nil, []facts.Node{asks("a"), asks("b", Granted, NotReady, Unchanged(time.Hour))}, []string{"b KataGrantWithdrawn"}},
		"one that failed and is down does":  {nil, []facts.Node{asks("a"), Worker("b", Wanted(c), Granted, Reports(node.PhaseInstalling), Fails("prove payload", "no"), NotReady)}, []string{}},
		"nor is one that is away for long":  {nil, []facts.Node{asks("a", NotReady, Unchanged(time.Hour))}, []string{}},
		"an agent that died with its grant": {nil, []facts.Node{asks("a"), asks("b", Granted, Unchanged(time.Hour))}, []string{"a KataRestartGranted"}},
		"an outstanding grant counts":       {nil, []facts.Node{asks("a"), asks("b", Granted)}, []string{}},
		"a restarting node counts":          {nil, []facts.Node{asks("a"), Worker("b", Wanted(c), Granted, Reports(node.PhaseInstalling))}, []string{}},
		"a used grant does not":             {nil, []facts.Node{asks("a"), Worker("b", Wanted(c), Granted, Reports(node.PhaseInstalled), Ready)}, []string{"a KataRestartGranted"}},
		"a grant of another boot does not":  {nil, []facts.Node{asks("a"), asks("b", func(n *facts.Node) { n.Intent.Grants.RestartCRIO = "boot-0" })}, []string{"a KataRestartGranted"}},
		"who is down may be back by then":   {nil, []facts.Node{asks("a", NotReady), asks("b"), asks("c")}, []string{"b KataRestartGranted"}},
		"of those that are down, one alone": {nil, []facts.Node{asks("a", NotReady), asks("b", NotReady), asks("c", Cordoned)}, []string{"a KataRestartGranted"}},
		"not even who is down with a grant": {nil, []facts.Node{asks("a", NotReady), asks("b", Granted)}, []string{}},
		"asking for an older intent":        {nil, []facts.Node{asks("a", func(n *facts.Node) { n.Report.IntentID = "older" })}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c
			if x.budget != nil {
				c.MaxUnavailable = *x.budget
			}
			changes := plan(c, x.nodes...)
			assert.Equal(t, x.want, said(changes))
			for _, change := range changes {
				assert.Equal(t, change.Event == rollout.EventGrant, change.Intent.Grants.RestartCRIO == "boot-1")
				assert.Equal(t, change.Node.Intent.ID, change.Intent.ID, "a grant is not a new intent")
				assert.Equal(t, change.Node.Intent.Issued, change.Intent.Issued)
			}
		})
	}
}

func TestANodeWithAnErrorGetsNoReadyLabelAndKeepsTheOneItHas(t *testing.T) {
	t.Parallel()
	c := Config("c")
	proved := []State{Wanted(c), Reports(node.PhaseInstalled)}
	assert.Equal(t, []string{"a KataReady"}, said(plan(c, Worker("a", proved...))))
	broken := append(slices.Clone(proved), Fails("observe host", "input/output error"))
	assert.Empty(t, said(plan(c, Worker("a", broken...))))
	assert.Empty(t, said(plan(c, Worker("a", append(slices.Clone(proved), Unfit)...))))
	assert.Empty(t, said(plan(c, Worker("a", append(broken, Ready)...))))
}

func TestNothingButARemovalBeginsWhereTheMachineConfigOperatorWorks(t *testing.T) {
	t.Parallel()
	before, c := Config("c"), Config("c", Payload(PayloadB))
	assert.Empty(t, said(plan(c, Worker("a", Done(before), Busy))), "no update")
	assert.Equal(t, []string{"a KataInstall"}, said(plan(before, Worker("a", Wanted(before), Reports(node.PhaseInstalling), Vanished, Busy))), "its agent follows this intent already")
	assert.Equal(t, []string{"a KataRemove"}, said(plan(Config("c", Deleted), Worker("a", Done(before), Busy))))
	assert.Equal(t, []string{"a KataReady"}, said(plan(before, Worker("a", Wanted(before), Reports(node.PhaseInstalled), Busy))), "a label restarts nothing")
}
