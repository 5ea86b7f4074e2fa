// SPDX-License-Identifier: Apache-2.0

// Package handshake_test couples the decisions of both halves, the agent's and the controller's, on
// small hosts and an API server that is a value: what neither half's own tests can see.
package handshake_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
	"github.com/kata-node/kata-node/nodeagent/step"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const bootID = "boot-1"

// What may be wrong with the broken node of a world.
const (
	noKVM  = "its proof fails"
	silent = "its agent answers nothing"
	dead   = "it is off"
)

// state is what the API server has of one node.
type state struct {
	version     int
	labels      map[string]string
	annotations map[string]string
	pods        []string
}

func (s state) labelled() bool { return s.labels[node.ReadyLabel] != "" }

// machine is one node, with the history of what the API server had: watches may be behind.
type machine struct {
	t       *testing.T
	name    string
	broken  string
	minor   int // of the OpenShift that it runs
	host    *hosttest.Machine
	self    host.Identity
	now     state
	history []state
	// controllers and agents are what those have seen of it.
	controllers, agents watch
	last                node.Report
	// ages are how many ticks each kata pod has lived.
	ages map[string]int
}

func newMachine(t *testing.T, name, broken string, payloads ...hosttest.Payload) *machine {
	t.Helper()
	root := t.TempDir()
	h, err := hosttest.New(root, files.Below(root))
	require.NoError(t, err)
	for _, p := range payloads {
		h.Registry[p.Reference()] = p
	}
	m := &machine{
		t: t, name: name, broken: broken, host: h, ages: map[string]int{},
		self: host.Identity{BootID: bootID, Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service", ProofTimeout: time.Minute},
	}
	m.now = state{labels: map[string]string{"node-role.kubernetes.io/worker": "", "pool": "x"}, annotations: map[string]string{}}
	if broken != dead {
		m.publish(idle())
	}
	return m
}

func idle() node.Report {
	return node.Report{Version: node.Version, Speaks: []int{node.Version}, BootID: bootID, Architecture: "amd64", Phase: node.PhaseIdle}
}

// write is one of the Node by anybody; what others have read stays as it is.
func (m *machine) write(change func(labels, annotations map[string]string)) {
	m.now.labels, m.now.annotations = maps.Clone(m.now.labels), maps.Clone(m.now.annotations)
	m.now.version++
	change(m.now.labels, m.now.annotations)
}

func (m *machine) publish(r node.Report) {
	document, err := r.Encode()
	require.NoError(m.t, err)
	m.last = r
	if m.now.annotations[node.ReportAnnotation] != document {
		m.write(func(_, annotations map[string]string) { annotations[node.ReportAnnotation] = document })
	}
}

// watch shows what was some ticks ago. It never goes back, and catches up from time to time.
type watch struct{ at int }

func (w *watch) of(m *machine, behind int) state {
	w.at = max(w.at, len(m.history)-behind)
	if w.at%catchUp == 0 {
		w.at = len(m.history)
	}
	if w.at >= len(m.history) {
		return m.now
	}
	return m.history[w.at]
}

// catchUp is after how many ticks a watch that is behind has everything for once.
const catchUp = 7

// object is the Node as it is in a cache of the controller.
func (m *machine) object(s state) *corev1.Node {
	ready := corev1.ConditionTrue
	if m.broken == dead {
		ready = corev1.ConditionUnknown
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: m.name, UID: types.UID("uid-of-" + m.name), ResourceVersion: strconv.Itoa(s.version), Labels: s.labels, Annotations: s.annotations,
	}}
	n.Status.NodeInfo = corev1.NodeSystemInfo{BootID: bootID, ContainerRuntimeVersion: fmt.Sprintf("cri-o://1.36.3-1.rhaos4.%d.git1a2b3c4.el9", m.minor)}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	return n
}

// agent takes one pass.
func (m *machine) agent(behind int) {
	m.t.Helper()
	seen := m.agents.of(m, behind)
	switch m.broken {
	case dead, silent:
		return
	case noKVM:
		m.fails(seen)
		return
	}
	shown := cluster.State{
		Known: true, PodsKnown: true, Labelled: seen.labelled(), Pods: seen.pods, Intent: seen.annotations[node.IntentAnnotation],
	}
	f, err := observe.Observer{Host: m.host.Host(), Self: m.self}.Look(m.t.Context(), shown)
	require.NoError(m.t, err)
	p := plan.For(f)
	m.publish(report.Make(f, p, nil, m.last, time.Unix(0, 0)))
	if len(p.Lines) > 0 {
		runner := step.Runner{Host: m.host.Host(), Self: m.self, Tell: func(string) {}}
		require.NoError(m.t, runner.Run(m.t.Context(), p.Next()[0], f))
	}
}

// fails is an agent that never comes beyond the proof, and has nothing to remove after that.
func (m *machine) fails(seen state) {
	r := idle()
	if document := seen.annotations[node.IntentAnnotation]; document != "" {
		intent, err := node.DecodeIntent(document)
		require.NoError(m.t, err)
		r.IntentID, r.Phase = intent.ID, node.PhaseAbsent
		if intent.State == node.StateInstalled {
			r.Phase = node.PhaseInstalling
			r.Error = &node.Error{Step: "prove payload", Reason: "ProvePayloadFailed", Message: "no /dev/kvm", Since: time.Unix(0, 0)}
		}
	}
	m.publish(r)
}

// pod binds one to the node, where there is one to bind, and ends those that have lived long
// enough.
func (m *machine) pod(tick, life int, one bool) {
	if one {
		name := fmt.Sprintf("ns/p%d", tick)
		m.now.pods, m.ages[name] = append(slices.Clip(m.now.pods), name), 0
	}
	var alive []string
	for _, name := range m.now.pods {
		if m.ages[name]++; m.ages[name] <= life {
			alive = append(alive, name)
		}
	}
	m.now.pods = alive
}

// serves is what CRI-O would run a kata pod with.
func (m *machine) serves() bool {
	m.t.Helper()
	target, err := m.host.Files.Readlink(host.CurrentLink)
	require.NoError(m.t, err)
	return target != host.Target(host.Pending)
}

// owner is the UID of the KataConfig on whose behalf the node has its intent.
func (m *machine) owner() string {
	intent, err := node.DecodeIntent(m.now.annotations[node.IntentAnnotation])
	if err != nil {
		return ""
	}
	return intent.Owner.UID
}
