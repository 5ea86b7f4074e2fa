// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// kataConfig is an accepted one for all workers.
func kataConfig(name string) *v1.KataConfig {
	kc := &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID("uid-of-" + name), Finalizers: []string{facts.Finalizer}, CreationTimestamp: metav1.NewTime(factstest.Noon()),
	}}
	kc.Spec.Config.PayloadImage = factstest.PayloadA
	return kc
}

func decided(s decide.Seen) decide.Decision {
	return decide.Decide(s, decide.Settings{}, factstest.Noon())
}

func TestNothingIsInstalledGrantedOrLabelledWithoutPolicies(t *testing.T) {
	t.Parallel()
	kc := kataConfig("c")
	c := facts.OfConfig(kc, facts.Defaults{})
	seen := decide.Seen{Configs: []*v1.KataConfig{kc}, Nodes: []facts.Node{
		factstest.Worker("idle", factstest.Idle),
		factstest.Worker("asks", factstest.Wanted(c), factstest.Reports(node.PhaseAwaitingGrant)),
		factstest.Worker("proved", factstest.Wanted(c), factstest.Reports(node.PhaseInstalled)),
	}}
	assert.NotEmpty(t, decided(seen).Changes)
	seen.PolicyProblem = "no admission policy a-policy is in force"
	d := decided(seen)
	assert.Empty(t, d.Changes)
	require.Len(t, d.Statuses, 1)
	failed := d.Statuses[0].Status.Conditions[2]
	assert.Equal(t, string(facts.ReasonPoliciesMissing), failed.Reason)
	assert.Contains(t, failed.Message, "a-policy")
}

// A KataConfig shows one reason, and may be refused for another one.
func TestNoOtherRefusalHidesThatPoliciesAreMissing(t *testing.T) {
	t.Parallel()
	kc := kataConfig("c")
	c := facts.OfConfig(kc, facts.Defaults{})
	d := decided(decide.Seen{
		Configs: []*v1.KataConfig{kc}, PolicyProblem: "no policy a-policy", RuntimeClass: &nodev1.RuntimeClass{},
		Nodes: []facts.Node{factstest.Worker("proved", factstest.Wanted(c), factstest.Reports(node.PhaseInstalled))},
	})
	assert.Equal(t, string(facts.ReasonRuntimeClassConflict), d.Statuses[0].Status.Conditions[2].Reason)
	assert.Empty(t, d.Changes, "anybody could have written that report")
}

func TestAKataConfigThatCannotBeDecodedKeepsItsNodesAndStopsNoOther(t *testing.T) {
	t.Parallel()
	bad, good := kataConfig("bad"), kataConfig("good")
	done := factstest.Done(facts.OfConfig(bad, facts.Defaults{}))
	bad.Spec = v1.KataConfigSpec{}
	good.Spec.KataConfigPoolSelector = &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"k": "good"}}
	d := decided(decide.Seen{
		Configs: []*v1.KataConfig{bad, good}, Unreadable: map[types.UID]error{bad.UID: errors.New("no quantity")},
		Nodes: []facts.Node{factstest.Worker("kept", done), factstest.Worker("new", factstest.Idle, factstest.With("k", "good"))},
	})
	assert.Equal(t, 1, d.Unreadable)
	require.Len(t, d.Changes, 1)
	assert.Equal(t, "new", d.Changes[0].Node.Name)
	require.Len(t, d.Statuses, 1, "nothing is written to an object that is not understood")
	assert.Equal(t, "good", d.Statuses[0].Config.Name)
}

func TestAPayloadThatIsNotAllowedIsNotRolledOut(t *testing.T) {
	t.Parallel()
	kc, other := kataConfig("c"), kataConfig("other")
	kc.Spec.KataConfigPoolSelector = &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"pool": "c"}}
	other.Spec.KataConfigPoolSelector = &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"pool": "other"}}
	other.Spec.Config.PayloadImage = "elsewhere.example/payload@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	c, o := facts.OfConfig(kc, facts.Defaults{}), facts.OfConfig(other, facts.Defaults{})
	pool := func(name string) factstest.State { return factstest.With("pool", name) }
	seen := decide.Seen{Configs: []*v1.KataConfig{kc, other}, Nodes: []facts.Node{
		factstest.Worker("allowed", pool("c"), factstest.Wanted(c), factstest.Reports(node.PhaseInstalled)),
		factstest.Worker("asks", pool("other"), factstest.Wanted(o), factstest.Reports(node.PhaseAwaitingGrant)),
		factstest.Worker("idle", pool("other"), factstest.Idle),
		factstest.Worker("proved", pool("other"), factstest.Wanted(o), factstest.Reports(node.PhaseInstalled)),
		factstest.Worker("serves", pool("other"), factstest.Done(o)),
	}}
	assert.Len(t, decided(seen).Changes, 4)
	d := decide.Decide(seen, decide.Settings{AllowedPayloads: []string{"registry.example.com/kata/"}}, factstest.Noon())
	require.Len(t, d.Changes, 1, "what serves stays, nothing else begins")
	assert.Equal(t, "allowed", d.Changes[0].Node.Name)
	require.Len(t, d.Statuses, 2)
	for _, s := range d.Statuses {
		failed := s.Status.Conditions[2]
		if s.Config.Name == "other" {
			assert.Equal(t, string(facts.ReasonPayloadNotAllowed), failed.Reason)
			assert.Contains(t, failed.Message, "registry.example.com/kata/")
			assert.Contains(t, failed.Message, other.Spec.Config.PayloadImage)
			continue
		}
		assert.Equal(t, string(facts.ReasonNoFailure), failed.Reason)
	}
}

func TestADecisionIsDueWhenANodeLosesItsPlace(t *testing.T) {
	t.Parallel()
	kc := kataConfig("c")
	c := facts.OfConfig(kc, facts.Defaults{})
	fails := factstest.Worker("a", factstest.Wanted(c), factstest.Reports(node.PhaseInstalling), factstest.Fails("prove payload", "no /dev/kvm"), factstest.Unchanged(0))
	seen := decide.Seen{Configs: []*v1.KataConfig{kc}, Nodes: []facts.Node{fails, factstest.Worker("b", factstest.Idle)}}
	settings := decide.Settings{FailureGrace: 10 * time.Minute}
	d := decide.Decide(seen, settings, factstest.Noon())
	assert.Empty(t, d.Changes)
	require.Equal(t, factstest.Noon().Add(settings.FailureGrace), d.Next)
	d = decide.Decide(seen, settings, d.Next)
	require.Len(t, d.Changes, 1, "the next node is tried after the grace of a failed one")
	assert.Equal(t, "b", d.Changes[0].Node.Name)
}

// Nobody says that the pods of such a node have ended: its kubelet needs the class for them.
func TestTheClassOutlivesItsKataConfigWhereAPodMayBeBound(t *testing.T) {
	t.Parallel()
	kc := kataConfig("gone")
	c := facts.OfConfig(kc, facts.Defaults{})
	existing := decided(decide.Seen{Configs: []*v1.KataConfig{kc}, Nodes: []facts.Node{factstest.Worker("n", factstest.Done(c))}}).Desired
	require.NotNil(t, existing)
	unread := factstest.Worker("n", factstest.Done(c), factstest.Unreadable)
	blocked := factstest.Worker("n", factstest.Unwanted(c), factstest.Reports(node.PhaseBlocked), factstest.Pods(1, "shop/cart"))
	for _, n := range []facts.Node{unread, blocked} {
		assert.NotNil(t, decided(decide.Seen{RuntimeClass: existing, Nodes: []facts.Node{n}}).Desired)
	}
}
