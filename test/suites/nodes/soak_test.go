// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

var (
	kills = flag.Int("kills", 200, "how often the agent is killed at a random moment; 0 leaves that test out")
	seed  = flag.Uint64("seed", 0, "what is done, and after which times, as in an earlier run; 0 is another run each time")
)

const (
	fragment = host.ConfigDir + "/50-soak.toml"
	// mostKills is how often the agent is killed in one operation, at most.
	mostKills = 10
	// usualLife is how long an agent lives before it is killed, on average: an installation takes
	// about two seconds, a start of the agent a fifth of one.
	usualLife = 350 * time.Millisecond
	longLife  = 3 * time.Second
)

// soak is a node whose agent is killed again and again while what is wanted changes.
type soak struct {
	*standalone

	random   *rand.Rand
	left     int // kills
	payloads []string
	// before is the node without an installation.
	before snapshot.Snapshot
	// wanted is the intent, whose zero value is none, and debug what the fragment sets, empty where
	// there is none.
	wanted node.Intent
	debug  string
	// pods are kata pods by name, with the process of their shim.
	pods  map[string]int
	named int
}

// Whatever the agent does when it is killed: ordinary pods run, pods keep what they run from,
// nothing is claimed that is not on disk, and the node gets to where it is wanted.
func TestAnAgentKilledAtRandomMomentsKeepsItsNodeSound(t *testing.T) {
	if *kills == 0 {
		t.Skip("-kills=0 leaves it out")
	}
	t.Parallel()
	source := *seed
	if source == 0 {
		source = rand.Uint64()
	}
	t.Logf("seed %d: add -kills=%d -seed=%[1]d to do the same again", source, *kills)
	k := newSoak(t, source, *kills)
	for turn := 1; k.left > 0; turn++ {
		k.turn(turn)
	}
	k.end()
}

func newSoak(t *testing.T, seed uint64, kills int) *soak {
	t.Helper()
	k := &soak{random: rand.New(rand.NewPCG(seed, 1)), left: kills, pods: map[string]int{}}
	common := sharedCluster(t)
	three, err := common.cluster.Push(t.Context(), fixture.Payload{Version: "4.0.0"})
	require.NoError(t, err)
	k.payloads = []string{common.one, common.two, three}
	program, err := common.cluster.BuildAgent(t.Context(), "0.1.0") // Without the race detector, which takes its time.
	require.NoError(t, err)
	k.standalone = newStandaloneWith(t, "soak", bed.NodeOptions{
		Programs: map[string]string{agent: program},
		Files: map[string]string{
			"/etc/systemd/system/kata-node-agent.service.d/soak.conf": "[Service]\nRestartSec=100ms\n",
			host.ConfigDir + "/.keep":                                 "",
		},
	})
	k.before = k.files()
	return k
}

// turn does one thing, kills the agent while it follows, and waits until it has.
func (k *soak) turn(number int) {
	k.t.Helper()
	what := k.change()
	k.t.Logf("turn %d: %s", number, what)
	for range 1 + k.random.IntN(mostKills) {
		if k.left == 0 {
			break
		}
		life := min(time.Duration(k.random.ExpFloat64()*float64(usualLife)), longLife)
		<-time.After(life) // The moment is what is random here.
		k.killNow()
		k.left--
		k.assertSound(fmt.Sprintf("turn %d, %s, a kill after %s", number, what, life))
	}
	k.settle()
	k.assertSound(fmt.Sprintf("turn %d, at rest", number))
	k.assertBounded()
	if k.random.IntN(8) == 0 {
		k.assertStill()
	}
}

// change changes what is wanted, or what runs, and says how.
func (k *soak) change() string {
	k.t.Helper()
	if k.wanted.State != node.StateInstalled {
		return k.serve(k.payloads[k.random.IntN(len(k.payloads))])
	}
	switch k.random.IntN(8) {
	case 0, 1, 2:
		others := slices.DeleteFunc(slices.Clone(k.payloads), func(p string) bool { return p == k.wanted.Payload })
		return k.serve(others[k.random.IntN(len(others))])
	case 3, 4:
		k.debug = fmt.Sprint(k.debug != "true")
		k.run("sh", "-ec", `printf '[runtime]\nenable_debug = %s\n' "$1" >"$2.new"; mv "$2.new" "$2"`, "sh", k.debug, fragment)
		return "debug " + k.debug
	case 5:
		return k.startOrEndPod()
	default:
		k.wanted = node.Intent{State: node.StateAbsent}.Identify("")
		k.intend(k.wanted)
		return fmt.Sprintf("removal under %d pods", len(k.pods))
	}
}

func (k *soak) serve(payload string) string {
	k.t.Helper()
	grants := k.installing(payload).Grants
	k.wanted = node.Intent{State: node.StateInstalled, Payload: payload}.Identify("")
	k.wanted.Grants = grants
	k.intend(k.wanted)
	return "payload " + payload
}

// startOrEndPod has two pods at most, so that an update runs under them.
func (k *soak) startOrEndPod() string {
	k.t.Helper()
	for name := range k.pods {
		if len(k.pods) == 2 || k.random.IntN(2) == 0 {
			k.endKata(name)
			return "the end of pod " + name
		}
	}
	k.named++
	name := fmt.Sprintf("pod-%d", k.named)
	before, err := k.node.Shims(k.t.Context())
	require.NoError(k.t, err)
	k.runSandbox(name, node.Handler)
	k.await("the shim of "+name+" runs alone", func(ctx context.Context) error {
		shims, err := k.node.Shims(ctx)
		shims = slices.DeleteFunc(shims, func(pid int) bool { return slices.Contains(before, pid) })
		if err == nil && len(shims) != 1 {
			err = fmt.Errorf("there are %v", shims)
		}
		if err == nil {
			k.pods[name] = shims[0]
		}
		return err
	})
	return "pod " + name
}

func (k *soak) endKata(name string) {
	k.t.Helper()
	delete(k.pods, name)
	k.endSandbox(name)
}

// killNow kills an agent that runs; between two it waits for the next one.
func (k *soak) killNow() {
	k.t.Helper()
	k.await("an agent was killed", func(ctx context.Context) error {
		_, err := k.node.Exec(ctx, "systemctl", "kill", "--signal=KILL", "--kill-whom=main", agentUnit)
		return err
	})
}

// settle waits until the node is as wanted, and ends pods that hold a removal up.
func (k *soak) settle() {
	k.t.Helper()
	if k.wanted.State == node.StateInstalled {
		k.awaitFile("answers the intent", func(r node.Report) bool {
			return in(node.PhaseInstalled)(r) && r.IntentID == k.wanted.ID && r.Payload == node.Digest(k.wanted.Payload)
		})
		k.await("the configuration is as wanted", func(ctx context.Context) error {
			if k.debug == "" {
				return nil
			}
			_, err := k.node.Exec(ctx, "grep", "-q", "enable_debug = "+k.debug, host.CurrentLink+"/"+node.Handler+"/"+host.Configuration)
			return err
		})
		return
	}
	k.settleRemoval()
}

func (k *soak) settleRemoval() {
	k.t.Helper()
	if len(k.pods) > 0 {
		k.awaitFile("waits for pods", func(r node.Report) bool { return r.Phase == node.PhaseBlocked && r.BoundPods.Count == len(k.pods) })
		k.assertSound("a removal that waits")
		for name := range k.pods {
			k.endKata(name)
		}
	}
	k.awaitFile("has a removal", func(r node.Report) bool { return in(node.PhaseAbsent)(r) && r.IntentID == k.wanted.ID })
	if k.random.IntN(3) == 0 {
		return
	}
	k.forget()
}

// forget deletes the intent of a removal, after which nothing is left.
func (k *soak) forget() {
	k.t.Helper()
	k.run("rm", intentFile)
	k.wanted = node.Intent{}
	k.await("nothing is left", func(context.Context) error {
		left := snapshot.Diff(k.before, k.files().Without(fragment))
		if len(left) > 0 {
			return errors.New("I6: " + strings.Join(left, "; "))
		}
		return nil
	})
	assert.Empty(k.t, k.payloadMounts(), "I6")
}

// end removes everything.
func (k *soak) end() {
	k.t.Helper()
	k.assertBounded()
	k.assertStill()
	for name := range k.pods {
		k.endKata(name)
	}
	if k.wanted.State != "" {
		k.wanted = node.Intent{State: node.StateAbsent}.Identify("")
		k.intend(k.wanted)
		k.awaitFile("has a removal", in(node.PhaseAbsent))
		k.forget()
	}
	k.assertUndisturbed(k.t.Context()) // I1.
	k.runSandbox("another", "")
	k.assertCRIOStarts(2)
	k.run("crio", "config")
}
