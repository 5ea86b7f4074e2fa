// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// modelSlot is a slot with what the agent cannot see.
type modelSlot struct {
	plan.Slot
	// sandboxes run from it.
	sandboxes int
	// intact is whether what is mounted is what was pulled.
	intact bool
	// rendered is what its last proof has started from, apart from the payload.
	rendered string
}

// modelPod is a kata pod and its sandbox.
type modelPod struct {
	name  string
	bound bool
	// slot is what its sandbox runs from, empty while it has none.
	slot string
}

// apiState is what the API server has of the node.
type apiState struct {
	intent   *node.Intent
	garbage  bool
	granted  bool
	labelled bool
	pods     []modelPod
	// mayReboot is the boot of the grant. cordoned and mark are the Node's; plain counts pods that
	// are no kata pods, which cannot be evicted while stuck.
	mayReboot       string
	cordoned, stuck bool
	mark            string
	plain           int
	report          *modelReport
}

// modelReport is what the controller reads of a report.
type modelReport struct {
	id     string
	phase  node.Phase
	bound  int
	reboot bool
}

func (a apiState) clone() apiState {
	a.pods = slices.Clone(a.pods)
	return a
}

// model is a node, its API server and its controller, with everything that may happen to them.
type model struct {
	random *rand.Rand
	trace  []string

	// On disk.
	kept   *node.Intent
	served *record.Served
	dropIn plan.DropIn
	images map[string]bool // by digit, whether it is intact
	store  bool
	guests map[string]bool // by slot, whether it is whole
	broken bool            // the store cannot be read
	full   bool            // nothing can be written there

	// Below /run.
	slots          map[string]*modelSlot
	current, proof string
	restarted      record.Restarted
	lacks          string
	modelFurther

	// What the API server has, and what the agent has last seen of it.
	api  apiState
	up   bool
	away bool // the controller is
	seen *apiState

	crio   modelCRIO
	system modelSystem
	// kubelet is what the kubelet says on the Node, and beats how often it has said something.
	kubelet record.Kubelet
	beats   int
	// conflict is what another file of CRI-O's configuration sets: nothing, a table or the default
	// runtime.
	conflict      string
	refused, busy bool
	boot          int
	// weak is whether the host has no /dev/kvm, lacking whether a module is missing, and modules
	// whether our file names it for the next boot.
	weak, lacking, modules bool
	// armed is whether CRI-O is to know our handlers whatever is wanted.
	armed            bool
	kernel, settings string
	kernels          []string

	modelReboots
	modelFindings

	// What the model checks by.
	proved map[string]bool // slots that were ever proved
	used   int             // restarts under the present grant
}

// modelCRIO is CRI-O.
type modelCRIO struct {
	active, answers bool
	starts          int
	// has is whether the running CRI-O knows our handlers, foreign whether it knows another file's
	// instead.
	has, foreign bool
	// loops is whether it ends soon after each start.
	loops bool
}

func newModel(seed uint64) *model {
	m := &model{
		random: rand.New(rand.NewPCG(seed, 1)),
		images: map[string]bool{}, guests: map[string]bool{}, slots: map[string]*modelSlot{}, current: plan.Pending, proof: plan.Pending,
		up: true, lacking: true, crio: modelCRIO{active: true, answers: true, starts: 1}, boot: 1, kernel: "k1", kernels: []string{"k1", "k2"}, proved: map[string]bool{},
		armed: seed%4 == 3, modelFindings: newModelFindings(),
	}
	m.say(true, 2)
	return m
}

func (m *model) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *model) bootID() string { return "b" + strconv.Itoa(m.boot) }

func (m *model) invocation() string { return "c" + strconv.Itoa(m.crio.starts) }

// facts is an observation.
func (m *model) facts() plan.Facts {
	if m.up {
		seen := m.api.clone()
		m.seen = &seen
	}
	f := plan.Facts{
		Host:    m.hostFacts(),
		Intent:  m.intentFacts(),
		Runtime: m.runtimeFacts(),
		Slots:   plan.Slots{Current: m.current, Proof: m.proof, Findings: m.allFindings()},
		Store:   plan.Store{Exists: m.store, Served: m.served},

		Packages: m.packagesFacts(),
	}
	if m.seen != nil {
		f.Cluster = plan.Cluster{PodsKnown: true, Labelled: m.seen.labelled, Kubelet: m.kubelet}
		for _, p := range m.seen.pods {
			if p.bound {
				f.Cluster.BoundPods = append(f.Cluster.BoundPods, p.name)
			}
		}
	}
	m.rebootFacts(&f)
	if m.busy {
		f.Cluster.Busy = "the machine-config daemon"
	}
	for _, id := range slices.Sorted(maps.Keys(m.slots)) {
		f.Slots.All = append(f.Slots.All, m.slotFacts(*m.slots[id], f.Runtime))
	}
	m.storeFacts(&f.Store)
	return f
}

// weakItems are computed once: a model observes millions of times.
var weakItems = withoutKVM()

func (m *model) hostFacts() plan.Host {
	h := plan.Host{BootID: m.bootID(), Build: m.buildID(), Architecture: "amd64", Kernel: m.kernel, Settings: m.settings, Kernels: m.otherKernels(), Armed: m.armed}
	if m.weak {
		h.Check = weakItems
	}
	if m.lacking {
		h.Modules = []string{"vhost_vsock"}
	}
	return h
}

func (m *model) intentFacts() plan.Intent {
	i := plan.Intent{Wanted: m.kept, Kept: true}
	switch {
	case m.seen == nil:
	case m.seen.garbage:
		i.Problem = "no JSON"
	case m.seen.intent == nil:
		i.Cleared = true
	default:
		wanted := *m.seen.intent
		wanted.Grants = node.Grants{Reboot: m.seen.mayReboot}
		if m.seen.granted {
			wanted.Grants.RestartCRIO = m.bootID()
		}
		i = plan.Intent{Wanted: &wanted, Shown: true, ID: wanted.ID, Kept: m.kept != nil && m.kept.ID == wanted.ID, Superseded: m.kept != nil && m.kept.ID != wanted.ID, Stale: m.kept != nil && m.kept.Prefetch != wanted.Prefetch}
	}
	return i
}

func (m *model) runtimeFacts() plan.Runtime {
	r := plan.Runtime{
		Active: m.crio.active, Answers: m.crio.active && m.crio.answers, Invocation: m.invocation(),
		Lacks: m.lacks, LacksFurther: m.lacksFurther, LacksHandler: "rs", Restarted: m.restarted, DropIn: m.dropIn,
	}
	if m.crio.loops {
		r.Crashes.Restarts = 5
	}
	if m.refused {
		r.Refused = "/etc/crio/crio.conf.d/.half: no TOML"
	}
	if m.conflict != "" {
		r.Conflicts = []plan.Conflict{{File: "/etc/crio/crio.conf.d/99", Key: m.conflict, Default: m.conflict == "default_runtime"}}
	}
	if r.Answers {
		for _, p := range m.api.pods {
			if p.slot != "" {
				r.Sandboxes = append(r.Sandboxes, plan.Sandbox{ID: "sandbox-" + p.name, Handler: handlerOf(p), Name: p.name, Ready: true})
			}
		}
	}
	return r
}

// slotFacts keeps what was found out about a slot to its mount, as an observation does.
func (m *model) slotFacts(s modelSlot, r plan.Runtime) plan.Slot {
	if !s.Mounted {
		s.Verified, s.Guest, s.Configured, s.Proved, s.ProvedHandlers, s.Failed = nil, false, false, "", nil, record.Failed{}
	}
	s.Guest = s.Guest && m.guests[s.ID]
	if s.sandboxes > 0 {
		s.Holders = []string{"process 7 (containerd-shim-kata-v2)"}
	}
	if m.dropIn.Exists && !r.Answers {
		s.Holders = append(s.Holders, "CRI-O, which does not answer")
	}
	return s.Slot
}

func (m *model) storeFacts(s *plan.Store) {
	for _, id := range slices.Sorted(maps.Keys(m.guests)) {
		s.Guests = append(s.Guests, plan.Guest{Slot: id, Whole: m.guests[id]})
	}
	if m.rebooted.Boot != "" || m.lacks != "" || m.lacksFurther != "" || m.restarted.Intent != "" || m.served != nil || m.modules || len(m.findings) > 0 {
		s.Leftovers = []string{"x"}
	}
	if m.broken {
		s.Problem = "no space left on device"
		return
	}
	for _, digit := range slices.Sorted(maps.Keys(m.images)) {
		s.Images = append(s.Images, image(digit))
	}
}

// needed reports whether a pod needs Kata on this node, or may come at any moment.
func (m *model) needed() bool {
	return m.api.labelled || slices.ContainsFunc(m.api.pods, func(p modelPod) bool { return p.bound || p.slot != "" })
}

func (m *model) resolves(link string) bool {
	s := m.slots[link]
	return link == plan.Pending || s != nil && s.Mounted && s.Configured && m.guested(s)
}

func digitOf(payload string) string { return node.Digest(payload)[len("sha256:"):][:1] }

// compatibility makes two payloads unable to reach each other's sandboxes.
func compatibility(digit string) string {
	if digit == "c" {
		return "2"
	}
	return "1"
}

// architecture makes one payload unfit for the node.
func architecture(digit string) string {
	if digit == "d" {
		return "arm64"
	}
	return "amd64"
}

// startsVMs makes one payload start virtual machines.
func startsVMs(digit string) bool { return digit == "b" }

func tail(lines []string, n int) string { return strings.Join(lines[max(0, len(lines)-n):], "\n   ") }
