// SPDX-License-Identifier: Apache-2.0

// Package crash_test runs the whole agent on a host for tests, and interrupts it at every change
// that it makes: of its host through the ports, and of its Node. It asserts what must hold at each
// moment, and that each interrupted run ends as an undisturbed one.
package crash_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/step"
)

// simulation is a node: its host, its agent, and what the cluster does for it.
type simulation struct {
	*hosttest.Machine
	disk *hosttest.Disk
	// self changes with each boot.
	self  host.Identity
	boots int
	// now is moved by what the agent asks to wait.
	now time.Time

	agent  *nodeagent.Agent
	runner step.Runner
	log    *journal
	gate   *gate
	last   nodeagent.Result
	passes int
	// stopped is whether systemd starts no agent after one that has ended.
	stopped bool

	control
	pods []*pod
	// others are packages that another user has layered.
	others []string
	// startsAtBoot are the starts of CRI-O up to this boot's.
	startsAtBoot int
	// setup is true on the way to where a workflow begins.
	setup bool
	// resting is true at the end of a stage, and restless what another process changed then.
	resting  bool
	restless string
	// fresh is the host before anything was installed.
	fresh state
	// violations are broken invariants, without repetitions.
	violations []string
	// decoded are files of CRI-O's configuration by their content.
	decoded map[string]crioFile
}

// simulate returns a node that has booted, with an agent that has not taken a pass.
func simulate(root string) (*simulation, error) {
	tree := filepath.Join(root, "host")
	spare := filepath.Join(root, "spare")
	for _, dir := range []string{tree, spare} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	disk := hosttest.NewDisk(quick{}, spare)
	m, err := hosttest.New(tree, files.Below(tree).On(disk))
	if err != nil {
		return nil, err
	}
	s := &simulation{Machine: m, disk: disk, decoded: map[string]crioFile{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s.self = host.Identity{Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service", ProofTimeout: 100 * time.Second}
	s.gate = &gate{after: s.check}
	s.log = &journal{}
	s.Kernels = []string{"6.13", "6.12"}
	for _, kernel := range s.Kernels {
		if err := s.Files.Write("/usr/lib/modules/"+kernel+"/vmlinuz", nil, 0o644); err != nil {
			return nil, err
		}
	}
	for _, p := range payloads() {
		s.Registry[p.Reference()] = p
	}
	for _, dir := range []string{host.CRIOConfigDir, host.ConfigDir, filepath.Dir(host.ModulesFile), host.StateDir, "/var/lib/kata-containers"} {
		if err := os.MkdirAll(s.Files.Path(dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := s.Files.Write(host.CRIOConfigDir+"/10-crun.conf", []byte(ordinaryRuntime), 0o644); err != nil {
		return nil, err
	}
	if err := s.newBoot(); err != nil {
		return nil, err
	}
	s.control = control{shown: cluster.State{Known: true, PodsKnown: true}}
	for s.account() {
	}
	s.fresh = s.state()
	s.start()
	return s, nil
}

// ordinaryRuntime is what pods without Kata rely on.
const ordinaryRuntime = "[crio.runtime]\ndefault_runtime = 'crun'\n[crio.runtime.runtimes.crun]\nruntime_path = '/usr/bin/crun'\n"

// newBoot gives the boot an id, and makes what tmpfiles make for the pending slot.
func (s *simulation) newBoot() error {
	s.boots++
	s.startsAtBoot, s.KubeletDown = s.Starts, false
	s.self.BootID = fmt.Sprintf("boot-%d", s.boots)
	program := s.Files.Path("/usr/libexec/kata-agent/kata-node-agent")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		return err
	}
	for _, handler := range node.Handlers() {
		dir := s.Files.Path(filepath.Join(host.SlotDir(host.Pending), handler))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Symlink(program, filepath.Join(dir, host.Shim)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, host.Configuration), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start is the start of the agent's process, with nothing but what is on disk and on the Node.
func (s *simulation) start() {
	s.gate.dead = false
	ports := s.ports()
	s.runner = step.Runner{Host: ports, Self: s.self, Node: drain{s}, Tell: func(string) {}}
	s.agent = &nodeagent.Agent{
		API: api{s}, Looker: observe.Observer{Host: ports, Self: s.self, Now: func() time.Time { return s.now }}, Stepper: s.runner, Log: s.log.logger(), Self: s.self,
		Now: func() time.Time { return s.now }, Say: s.say, Hung: func(string) {}, Renew: func(error) {},
	}
	if err := s.runner.Prepare(bg); err != nil {
		s.log.logger().WithError(err).Errorf("CRI-O may start without the handlers")
	}
}

// say writes the reason for pods, as the command does.
func (s *simulation) say(sentence string, pending bool) {
	if !pending {
		return
	}
	if err := s.runner.Host.Files.Write(host.PendingReason, []byte(sentence+"\n"), 0o644); err != nil {
		s.log.logger().WithError(err).Warnf("Pods on this node do not learn why Kata is not ready")
	}
}

// maxPasses is far more than any run takes.
const maxPasses = 400

// errEndless is the end of a run that does not come to rest.
var errEndless = errors.New("the agent does not come to rest")

// rest takes passes until nothing is left to do for agent, controller and kubelet. It brings the
// agent back to life, and the host up again.
func (s *simulation) rest() error {
	for range maxPasses {
		quiet, err := s.pass()
		if err != nil || quiet {
			return err
		}
	}
	return fmt.Errorf("%w: %s; next %v, tidy %v", errEndless, s.last.Sentence, s.last.Plan.Next(), s.last.Plan.Tidy)
}

// pass is one pass of the agent, and what the world around it does then.
func (s *simulation) pass() (quiet bool, err error) {
	before := s.gate.count
	s.passes++
	s.last = s.agent.Pass(bg)
	s.now = s.now.Add(max(s.last.Next, time.Second))
	switch {
	case s.gate.dead && s.gate.power:
		return false, s.powerCut()
	case s.gate.dead && s.stopped:
		return true, nil
	case s.gate.dead:
		s.start()
		s.check("the agent has started again")
		return false, nil
	case s.GoingDown:
		return false, s.up("the host has rebooted")
	}
	s.check("after a pass")
	acted := s.act(s)
	acted = s.kubelet() || acted
	acted = s.account() || acted
	idle := len(s.last.Plan.Lines)+len(s.last.Plan.Tidy) == 0
	return !acted && (s.gate.count == before && idle || s.given()), nil
}

// given is true where the agent has reported what keeps it from what is wanted.
func (s *simulation) given() bool {
	e := s.reported.Error
	return s.futile && e != nil && e.Step == string(plan.Prove)
}

// powerCut loses what is not on disk: the staged deployment is below /run.
func (s *simulation) powerCut() error {
	if err := s.disk.LosePower(); err != nil {
		return err
	}
	s.gate.lose(s)
	s.OSTree.Deployments = slices.DeleteFunc(s.OSTree.Deployments, func(d host.Deployment) bool { return d.Staged })
	return s.up("power has come back")
}

// up boots whatever is on disk.
func (s *simulation) up(when string) error {
	s.disk.Revive()
	s.gate.dead, s.gate.power, s.claimed = false, false, false
	if s.OSTree.Exists {
		for i := range s.OSTree.Deployments {
			d := &s.OSTree.Deployments[i]
			d.LiveReplaced, d.LiveInProgress, d.Unlocked = "", "", ""
		}
		if err := s.FinalizeOSTree(); err != nil {
			return err
		}
	}
	if err := s.Boot(); err != nil {
		return err
	}
	if err := s.newBoot(); err != nil {
		return err
	}
	s.started(when)
	return nil
}

// started is what comes after all processes have ended and systemd has started the agent.
func (s *simulation) started(when string) {
	s.control.boots()
	for _, p := range s.pods {
		p.slot = ""
	}
	s.start()
	s.check(when)
}
