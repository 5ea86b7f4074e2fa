// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// What may be wrong with the one broken node of a life, in addition to what node_test.go names.
const (
	unfit    = "its host has no KVM"
	notReady = "its kubelet is not Ready"
)

// resident is a node of a life: a host with the real agent, its kubelet, and its kata pods.
type resident struct {
	decidetest.Host

	w *life
	// lists is whether its kubelet lists runtime handlers.
	lists bool

	host  *hosttest.Machine
	self  host.Identity
	boots int

	agent    *nodeagent.Agent
	next     time.Time // when the agent looks again by itself
	shown    cluster.State
	changes  int // of the host, at the last look
	sentence string
	pending  bool // whether the plan has steps

	away int // rounds in which the API server does not answer the agent
	lag  int // rounds that the agent's watches are behind

	pods []*pod

	// history is what the API server had after each round, at what the agent has seen of it.
	history []moment
	at      int
	answer  *corev1.Node

	// used are the grants that were used, by boot and intent.
	used map[string]bool
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
	var err error
	root := hosttest.MemoryDir(r.w.T)
	r.host, err = hosttest.New(root, files.Below(root).On(unsynced{}))
	require.NoError(r.w.T, err)
	for _, p := range []hosttest.Payload{good(), newer(), bad()} {
		r.host.Registry[p.Reference()] = p
	}
	r.pods, r.used = nil, map[string]bool{}
	r.boot()
}

// boot is what comes after the host is up.
func (r *resident) boot() {
	r.boots++
	r.self = host.Identity{BootID: fmt.Sprintf("%s-boot-%d", r.Name, r.boots), Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service", ProofTimeout: time.Minute}
	for _, p := range r.pods {
		p.slot = ""
	}
	r.start()
}

// reboots ends everything that runs.
func (r *resident) reboots() {
	require.NoError(r.w.T, r.host.Boot())
	r.boot()
	r.Down = r.w.IntN(3)
}

// Act is what happens on a node in a round, at the beginning of which its past is remembered.
func (r *resident) Act() {
	r.history = append(r.history, moment{r.Object(), r.podNames()})
	r.acts()
	r.schedule()
}

func (r *resident) acts() {
	r.Down, r.Paused, r.away = max(0, r.Down-1), max(0, r.Paused-1), max(0, r.away-1)
	if r.Broken == dead {
		r.showsUp()
		return
	}
	r.kubelet()
	if r.Paused > 0 || r.Broken == silent {
		return
	}
	passes := 1 + r.w.IntN(4)
	if r.w.Calm {
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
	switch r.Broken {
	case dead:
		r.reboots()
	case unfit:
		r.host.Facts = hosttest.Fit()
	}
	r.Broken = ""
}

// breaks lets the node be broken from now on.
func (r *resident) breaks(fault string) {
	r.Broken, r.Disrupted = fault, ""
	if fault == unfit {
		r.host.Facts.KVM = host.KVM{}
	}
}

// Shows is what the kubelet says of itself.
func (r *resident) Shows(n *corev1.Node) {
	ready := corev1.ConditionTrue
	if r.Down > 0 || r.Broken == notReady || r.Broken == dead {
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
