// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What may be wrong with the one broken node of a life, in addition to what node_test.go names.
const (
	unfit    = "its host has no KVM"
	notReady = "its kubelet is not Ready"
)

// resident is a node of a life: a host with the real agent, its kubelet, and its kata pods.
type resident struct {
	w    *life
	name string
	pool string
	// lists is whether its kubelet lists runtime handlers.
	lists   bool
	ailment string

	root  string
	host  *hosttest.Machine
	self  host.Identity
	boots int

	agent    *nodeagent.Agent
	next     time.Time // when the agent looks again by itself
	shown    cluster.State
	changes  int // of the host, at the last look
	sentence string
	pending  bool // whether the plan has steps

	down   int // rounds without Ready kubelet
	paused int // rounds without agent
	away   int // rounds in which the API server does not answer the agent
	lag    int // rounds that the agent's watches are behind

	pods []*pod
	// reported is how many bound pods the last report named.
	reported int

	// history is what the API server had after each round, at what the agent has seen of it.
	history []moment
	at      int
	answer  *corev1.Node

	// disrupted is the KataConfig that has made the node unavailable by a grant, empty for none;
	// used are the grants that were used, by boot and intent.
	disrupted string
	used      map[string]bool
	// byHand is true while another hand has set the ready label, or taken it away.
	byHand bool
}

// moment is what the API server had at some time.
type moment struct {
	node *corev1.Node
	pods []string
}

// unsynced is a disk whose syncs take no time: no host of a life loses power.
type unsynced struct{ files.Kernel }

func (unsynced) Sync(path string) error {
	_, err := os.Lstat(path)
	return err
}

// machine makes a host without anything of ours.
func (r *resident) machine() {
	r.discards()
	var err error
	r.root, err = os.MkdirTemp(r.w.t.TempDir(), r.name)
	require.NoError(r.w.t, err)
	r.host, err = hosttest.New(r.root, files.Below(r.root).On(unsynced{}))
	require.NoError(r.w.t, err)
	for _, p := range []hosttest.Payload{good(), newer(), bad()} {
		r.host.Registry[p.Reference()] = p
	}
	r.pods, r.used = nil, map[string]bool{}
	r.boot()
}

func (r *resident) discards() {
	if r.root != "" {
		require.NoError(r.w.t, os.RemoveAll(r.root))
	}
}

// boot is what comes after the host is up.
func (r *resident) boot() {
	r.boots++
	r.self = host.Identity{BootID: fmt.Sprintf("%s-boot-%d", r.name, r.boots), Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service", ProofTimeout: time.Minute}
	for _, p := range r.pods {
		p.slot = ""
	}
	r.start()
}

// reboots ends everything that runs.
func (r *resident) reboots() {
	require.NoError(r.w.t, r.host.Boot())
	r.boot()
	r.down = r.w.rnd.IntN(3)
}

// act is what happens on a node in a round.
func (r *resident) act() {
	r.down, r.paused, r.away = max(0, r.down-1), max(0, r.paused-1), max(0, r.away-1)
	if r.ailment == dead {
		r.showsUp()
		return
	}
	r.kubelet()
	if r.paused > 0 || r.ailment == silent {
		return
	}
	passes := 1 + r.w.rnd.IntN(4)
	if r.w.calm {
		passes += 8
	}
	for range passes {
		if !r.looks() {
			break
		}
		r.pass()
	}
	r.kubelet()
}

// heals ends what is wrong with the broken node.
func (r *resident) heals() {
	switch r.ailment {
	case dead:
		r.reboots()
	case unfit:
		r.host.Facts = hosttest.Fit()
	}
	r.ailment = ""
}

// breaks lets the node be broken from now on.
func (r *resident) breaks(fault string) {
	r.ailment, r.disrupted = fault, ""
	if fault == unfit {
		r.host.Facts.KVM = host.KVM{}
	}
}

// object is the Node as the API server has it, nil while there is none.
func (r *resident) object() *corev1.Node { return r.w.Nodes.Now[r.name] }

// register makes the Node anew: nothing of an earlier one is kept.
func (r *resident) register() {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: r.name, UID: r.w.UID(), Annotations: map[string]string{}, Labels: map[string]string{"node-role.kubernetes.io/worker": "", "pool": r.pool},
	}}
	if r.w.rnd.Likely(30) {
		n.Spec.Taints = []corev1.Taint{{Key: "other"}, {Key: node.StartupTaint}}
	}
	r.byHand = false
	r.shows(n)
	r.w.Nodes.Put(n, r.w.Next())
}

// edit is a write of the Node by anybody. One that changes nothing makes no version.
func (r *resident) edit(change func(*corev1.Node)) *corev1.Node {
	n := r.object().DeepCopy()
	change(n)
	if !reflect.DeepEqual(n, r.object()) {
		r.w.Nodes.Put(n, r.w.Next())
	}
	return r.object()
}

// shows is what the kubelet says of itself.
func (r *resident) shows(n *corev1.Node) {
	ready := corev1.ConditionTrue
	if r.down > 0 || r.ailment == notReady || r.ailment == dead {
		ready = corev1.ConditionFalse
	}
	n.Status.Conditions = slices.DeleteFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeReady, Status: ready})
	if ready == corev1.ConditionFalse {
		return // Another one says so, and nothing new is known.
	}
	n.Status.NodeInfo.BootID, n.Status.NodeInfo.Architecture = r.self.BootID, r.self.Architecture
	n.Status.RuntimeHandlers = nil
	if r.lists {
		for _, handler := range append([]string{"crun"}, r.host.Handlers...) {
			n.Status.RuntimeHandlers = append(n.Status.RuntimeHandlers, corev1.NodeRuntimeHandler{Name: handler})
		}
	}
}

// available is true where the node takes ordinary pods.
func (r *resident) available() bool {
	n := r.object()
	return n != nil && !n.Spec.Unschedulable && isReady(n)
}

func isReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// remember ends a round.
func (r *resident) remember() {
	r.history = append(r.history, moment{r.object(), r.podNames()})
}
