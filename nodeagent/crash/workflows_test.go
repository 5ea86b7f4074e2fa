// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/payload/manifest"
)

// plain needs nothing of its host; two is another version of it.
func plain() hosttest.Payload { return hosttest.Payload{Version: "1.0.0", Shim: "#!/bin/true one"} }
func two() hosttest.Payload   { return hosttest.Payload{Version: "2.0.0", Shim: "#!/bin/true two"} }

// guest asks for a guest with modules of the host's kernel, and starts virtual machines.
func guest() hosttest.Payload {
	return hosttest.Payload{Version: "3.0.0", Shim: "#!/bin/true three", Modules: []string{"virtiofs"}, Requires: manifest.Requires{KVM: true}}
}

// broken has a guest, and its sandboxes do not start.
func broken() hosttest.Payload {
	p := guest()
	p.Version, p.Shim, p.Requires.QEMU = "4.0.0", hosttest.Broken, true
	return p
}

// needy leaves QEMU and virtiofsd to its host, and has packages of them.
func needy(version string) hosttest.Payload {
	return hosttest.Payload{
		Version: version, Shim: "#!/bin/true " + version, Requires: manifest.Requires{QEMU: true, Virtiofsd: true},
		Packages: map[string]string{"qemu-kvm-core": version, "virtiofsd": "1.13"},
	}
}

func payloads() []hosttest.Payload {
	return []hosttest.Payload{plain(), two(), guest(), broken(), needy("9.1"), needy("10.0")}
}

// stage changes what is wanted, or the host. The agent comes to rest after each.
type stage func(s *simulation) error

// workflow is stages that are run undisturbed, and then those of which every change is disturbed.
type workflow struct {
	name           string
	before, stages []stage
	// changes is the least number of changes that the stages take; a workflow that changes nothing
	// has none.
	changes int
}

func install(p hosttest.Payload) stage {
	return func(s *simulation) error {
		s.want(node.Intent{State: node.StateInstalled, Payload: p.Reference()})
		return nil
	}
}

func prefetch(p, ahead hosttest.Payload) stage {
	return func(s *simulation) error {
		s.want(node.Intent{State: node.StateInstalled, Payload: p.Reference(), Prefetch: ahead.Reference()})
		return nil
	}
}

func remove(s *simulation) error {
	s.want(node.Intent{State: node.StateAbsent})
	return nil
}

func podStarts(s *simulation) error { s.bind("pod"); return nil }
func podEnds(s *simulation) error   { s.end(); return nil }

// fragment is an administrator's file.
const fragment = host.ConfigDir + "/50-memory.toml"

func configure(s *simulation) error {
	return s.Files.Write(fragment, []byte("[hypervisor.qemu]\ndefault_memory = 1024\n"), 0o644)
}

// restartAgent is what systemd does: another process.
func restartAgent(s *simulation) error { s.start(); return nil }

// updateAgent is the start of an agent after one that knew no further handlers: neither the drop-in
// nor the slot that serves has them, and the running CRI-O was started without.
func updateAgent(s *simulation) error {
	content, err := s.Files.Read(host.DropIn)
	if err != nil {
		return err
	}
	var dropIn map[string]map[string]map[string]map[string]any
	if err := toml.Unmarshal(content, &dropIn); err != nil {
		return err
	}
	s.Handlers = []string{node.Handler, node.ProofHandler}
	for _, handler := range node.Handlers() {
		if slices.Contains(s.Handlers, handler) {
			continue
		}
		delete(dropIn["crio"]["runtime"]["runtimes"], handler)
		if err := s.Files.Remove(filepath.Join(host.SlotDir(s.current()), handler)); err != nil {
			return err
		}
	}
	if content, err = toml.Marshal(dropIn); err != nil {
		return err
	}
	if err := s.Files.Write(host.DropIn, content, 0o644); err != nil {
		return err
	}
	return restartAgent(s)
}

func bootHost(s *simulation) error { return s.up("the host has rebooted") }

// softReboot keeps the kernel, the boot's id, what is below /run, and mounts that pods use.
func softReboot(s *simulation) error {
	if err := s.SoftBoot(); err != nil {
		return err
	}
	s.startsAtBoot, s.KubeletDown = s.Starts, false
	s.started("the host has rebooted softly")
	return nil
}

func bootKernel(s *simulation) error {
	s.self.Kernel = "6.13"
	return s.up("the host has rebooted into another kernel")
}

func deleteKernel(s *simulation) error {
	s.Kernels = []string{"6.13"}
	return os.RemoveAll(s.Files.Path("/usr/lib/modules/6.12"))
}

// askReboot is granted by the controller; pods are evicted first.
func askReboot(s *simulation) error {
	s.shown.Evictable = []string{"default/web"}
	return s.Files.Write(host.RebootRequiredFile, []byte("a new firmware\n"), 0o600)
}

// rot changes a file of the payload that serves, and boots.
func rot(s *simulation) error {
	if err := os.WriteFile(s.storeDir(s.Images[0].ID)+"/"+hosttest.KernelFile, []byte("a kerneI"), 0o600); err != nil {
		return err
	}
	return s.up("the host has rebooted with a damaged store")
}

// rotFormer changes a file of the payload that served before, and silentRot does so as a disk does:
// nothing but the content shows it.
func rotFormer(s *simulation) error {
	return os.WriteFile(s.storeDir(s.Images[0].ID)+"/"+hosttest.KernelFile, []byte("a kerneI"), 0o600)
}

func silentRot(s *simulation) error {
	file := s.storeDir(s.Images[0].ID) + "/" + hosttest.KernelFile
	was, err := os.Stat(file)
	if err != nil {
		return err
	}
	return errors.Join(rotFormer(s), os.Chtimes(file, time.Time{}, was.ModTime()))
}

func (s *simulation) storeDir(id string) string { return s.Files.Path(host.StoreDir + "/" + id) }

// coreOS is a host of rpm-ostree on which an administrator has layered a package.
func coreOS(s *simulation) error {
	s.BootOSTree()
	s.others = []string{"strace-6-1.x86_64"}
	s.OSTree.Deployments[0].Local = s.others
	return nil
}

// brokenProof is a payload that is not served, on a host whose guests start.
func brokenProof(s *simulation) error {
	const qemu = "/usr/bin/qemu-system-x86_64"
	s.Booted = map[string]host.Booted{qemu: {Ready: true}}
	if err := s.Files.Write(qemu, nil, 0o755); err != nil {
		return err
	}
	s.futile = true
	return install(broken())(s)
}

// crioLate is a CRI-O that comes back late from its first restart.
func crioLate(s *simulation) error {
	s.RestartError = errors.New("restarting crio.service: job failed")
	if err := install(plain())(s); err != nil {
		return err
	}
	for range maxPasses {
		quiet, err := s.pass()
		if err != nil || quiet || s.KubeletDown {
			s.RestartError = nil
			return err
		}
	}
	return fmt.Errorf("restarting CRI-O: %w", errEndless)
}

// arm gives CRI-O the handlers at a boot, before anything is wanted.
func arm(s *simulation) error {
	s.self.Arm = true
	return s.up("the host has rebooted with an agent that arms it")
}

// withoutModule is a host that has to load one for virtual machines.
func withoutModule(s *simulation) error {
	s.Lack("/dev/vhost-vsock")
	return nil
}

// workflows are all that an agent does on a node.
func workflows() []workflow {
	one := []stage{install(plain())}
	three := []stage{withoutModule, install(guest())}
	layered := []stage{coreOS, install(needy("9.1"))}
	return []workflow{
		{name: "install", stages: one, changes: 15},
		{name: "install with a guest", stages: three, changes: 20},
		{name: "install with packages", before: []stage{coreOS}, stages: layered[1:], changes: 18},
		{name: "install while CRI-O comes back late", stages: []stage{crioLate}, changes: 17},
		{name: "install and removal on an armed host", stages: []stage{arm, install(plain()), remove}, changes: 20},
		{name: "start of another agent", before: one, stages: []stage{restartAgent}},
		{name: "update of the agent", before: append(one, podStarts), stages: []stage{updateAgent, bootHost}, changes: 10},
		{name: "update while a pod runs", before: append(one, podStarts), stages: []stage{install(guest()), podEnds}, changes: 20},
		{name: "update of packages", before: layered, stages: []stage{install(needy("10.0"))}, changes: 20},
		{name: "roll back", before: append(one, install(two())), stages: one, changes: 12},
		{name: "roll back in the same life", stages: append(one, install(two()), install(plain())), changes: 40},
		{name: "roll back to a damaged payload", stages: append(one, install(two()), rotFormer, install(plain())), changes: 40},
		{name: "roll back to what a disk has damaged", stages: append(one, install(two()), silentRot, install(plain())), changes: 40},
		{name: "configuration", before: three, stages: []stage{configure}, changes: 12},
		{name: "retire", before: append(one, podStarts, install(two())), stages: []stage{podEnds}, changes: 2},
		{name: "prefetch", before: one, stages: []stage{prefetch(plain(), two()), prefetch(plain(), guest()), install(guest())}, changes: 20},
		{name: "boot", before: three, stages: []stage{bootHost}, changes: 8},
		{name: "soft reboot", before: three, stages: []stage{softReboot}, changes: 6},
		{name: "soft reboot under pods", before: append(one, podStarts), stages: []stage{softReboot}, changes: 2},
		{name: "soft reboot in an update", before: append(one, podStarts, install(two())), stages: []stage{softReboot, podEnds}, changes: 2},
		{name: "boot into another kernel", before: three, stages: []stage{bootKernel, deleteKernel}, changes: 10},
		{name: "boot with a damaged store", before: one, stages: []stage{rot}, changes: 8},
		{name: "reboot", before: one, stages: []stage{askReboot}, changes: 10},
		{name: "broken payload", before: one, stages: []stage{brokenProof, install(two())}, changes: 20},
		{name: "removal", before: three, stages: []stage{remove}, changes: 12},
		{name: "removal while a pod runs", before: append(one, podStarts), stages: []stage{remove, podEnds}, changes: 12},
		{name: "removal of packages", before: layered, stages: []stage{remove, bootHost}, changes: 12},
		{name: "removal in an update", before: append(one, podStarts, install(two())), stages: []stage{remove, podEnds}, changes: 12},
	}
}
