// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
)

// kubeletIn is a Node whose kubelet has shown itself in that boot last.
func kubeletIn(boot string) State { return func(n *facts.Node) { n.BootID = boot } }

func TestRebootsStayWithinMaxUnavailable(t *testing.T) {
	t.Parallel()
	c := Config("c")
	needs := func(name string, more ...State) facts.Node {
		return Worker(name, append([]State{Done(c), Ready, NeedsReboot}, more...)...)
	}
	two, half := intstr.FromInt32(2), intstr.FromString("50%")
	for name, x := range map[string]struct {
		budget *intstr.IntOrString
		nodes  []facts.Node
		want   []string
	}{
		"one by default":                          {nil, []facts.Node{needs("a"), needs("b")}, []string{"a KataRebootGranted"}},
		"two":                                     {&two, []facts.Node{needs("a"), needs("b"), needs("c")}, []string{"a KataRebootGranted", "b KataRebootGranted"}},
		"half of four":                            {&half, []facts.Node{needs("a"), needs("b"), needs("c"), needs("d")}, []string{"a KataRebootGranted", "b KataRebootGranted"}},
		"a NotReady node counts":                  {nil, []facts.Node{needs("a"), Worker("b", NotReady)}, []string{}},
		"a cordoned node counts":                  {nil, []facts.Node{needs("a"), Worker("b", Cordoned)}, []string{}},
		"a restart of CRI-O counts":               {nil, []facts.Node{needs("a"), Worker("b", Wanted(c), Granted, Reports(node.PhaseInstalling))}, []string{}},
		"one that drains counts":                  {nil, []facts.Node{needs("a"), needs("b", MayReboot, Cordoned)}, []string{}},
		"one that is away counts":                 {nil, []facts.Node{needs("a"), needs("b", MayReboot, Cordoned, NotReady, Unchanged(time.Hour))}, []string{}},
		"one that is back does not":               {nil, []facts.Node{needs("a"), needs("b", MayReboot, Booted)}, []string{"a KataRebootGranted"}},
		"one whose kubelet is not back does":      {nil, []facts.Node{needs("a"), needs("b", MayReboot, Booted, kubeletIn("boot-1"))}, []string{}},
		"not even who is down with a grant":       {nil, []facts.Node{needs("a", Cordoned), needs("b", MayReboot)}, []string{}},
		"one that is cordoned yet does":           {nil, []facts.Node{needs("a"), needs("b", MayReboot, Booted, Cordoned)}, []string{}},
		"who is down costs nothing":               {nil, []facts.Node{needs("a", Cordoned), needs("b")}, []string{"a KataRebootGranted"}},
		"once for a boot":                         {nil, []facts.Node{needs("a", MayReboot)}, []string{}},
		"again for another boot":                  {nil, []facts.Node{needs("a", MayReboot, Booted, NeedsReboot)}, []string{"a KataRebootGranted"}},
		"not by a report from before":             {nil, []facts.Node{needs("a", Rebooted)}, []string{}},
		"not while it is held":                    {nil, []facts.Node{needs("a", Held), needs("b")}, []string{"b KataRebootGranted"}},
		"not while others work on it":             {nil, []facts.Node{needs("a", Busy), needs("b")}, []string{"b KataRebootGranted"}},
		"it restarts CRI-O, too":                  {nil, []facts.Node{Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), NeedsReboot)}, []string{"a KataRebootGranted"}},
		"or only a restart, where a node is away": {nil, []facts.Node{Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), NeedsReboot), Worker("b", NotReady)}, []string{"a KataRestartGranted"}},
		"no restart while it is drained":          {nil, []facts.Node{Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), NeedsReboot, MayReboot)}, []string{}},
		"no restart of a held node":               {nil, []facts.Node{Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), Held)}, []string{}},
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
				assert.Equal(t, change.Event == rollout.EventReboot, change.Intent.Grants.Reboot == change.Node.Report.BootID)
				assert.Equal(t, change.Node.Intent.ID, change.Intent.ID, "a grant is not a new intent")
				assert.True(t, change.Entered)
			}
		})
	}
}

func TestNothingIsGrantedWhilePausedOrForARemoval(t *testing.T) {
	t.Parallel()
	c := Config("c", Paused)
	assert.Empty(t, plan(c, Worker("a", Done(c), Ready, NeedsReboot)))
	c = Config("c", Selects("pool", "x"))
	assert.Empty(t, said(plan(c, Worker("a", Unwanted(c), Reports(node.PhaseBlocked), Pods(1, "p"), NeedsReboot))))
}

func TestAHeldNodeIsNotStarted(t *testing.T) {
	t.Parallel()
	c := Config("c")
	assert.Equal(t, []string{"b KataInstall"}, said(plan(c, Worker("a", Idle, Held), Worker("b", Idle))))
}

func TestAnUpdateDuringADrainKeepsItsGrant(t *testing.T) {
	t.Parallel()
	c := Config("c", Payload(PayloadB))
	changes := plan(c, Worker("a", Done(Config("c")), Ready, NeedsReboot, MayReboot))
	assert.Equal(t, []string{"a KataUpdate"}, said(changes))
	assert.Equal(t, "boot-1", changes[0].Intent.Grants.Reboot)
}
