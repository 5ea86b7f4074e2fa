// SPDX-License-Identifier: Apache-2.0

// Package hosttest is a host for tests: real files in a temporary directory, and small stand-ins
// for the other ports that keep the traps of the real ones. Every change goes through one gate at
// which a test may end the agent's life.
package hosttest

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
)

// ErrCrash is what everything returns once the agent's life has ended.
var ErrCrash = errors.New("the agent is dead")

// Machine is a host. Tests set its fields between the agent's passes.
type Machine struct {
	Root  string
	Files host.Files

	// CRIO is the container runtime's unit; Starts counts its starts, Handlers is what it read at
	// the last one.
	CRIO   host.Unit
	Starts int
	// KubeletDown is true after a restart of CRI-O that failed.
	KubeletDown bool
	Handlers    []string
	// Options and Environment are those of CRI-O's process; Words is what it printed, by
	// invocation.
	Options, Environment []string
	Words                map[string]string
	// Complaints are warnings in CRI-O's journal.
	Complaints []string
	// Fatal is the line by which CRI-O has said that it ends. How often it did is in its unit.
	Fatal string
	// Messages are what services have printed, by service.
	Messages map[string][]string
	// Silent makes CRI-O not answer over CRI, RestartError fails restarts, CheckError says why it
	// would not start.
	Silent       bool
	RestartError error
	CheckError   error
	Sandboxes    []host.Sandbox
	// Shims are the programs of sandboxes of proofs by their ids, as paths of the host. One runs as
	// long as its sandbox is there, unless a test deletes it.
	Shims map[string]string
	// Unlisted are those whose Prove has had no caller any more when they had started.
	Unlisted []host.Sandbox
	// ForeignShim is what another file has made the program of our handlers.
	ForeignShim string
	// Kept are sandboxes that CRI-O can no longer remove.
	Kept map[string]bool

	// Registry has the payloads that can be pulled, by reference; Images those in the store.
	Registry map[string]Payload
	Images   []host.Image

	// Mounts are mount points in order, Busy those with a running process. Hidden are invisible to
	// CRI-O. CRIORoot is the root directory that CRI-O sees until its next start, where it is not
	// Root.
	Mounts    []string
	Busy      map[string]bool
	Hidden    bool
	CRIORoot  string
	Private   bool
	Processes []host.Process
	// Holding are processes that only have files or directories open, which are their Paths.
	Holding []host.Process

	// Kernels are those on disk, newest first. FullDisk makes the building of guests fail.
	Kernels  []string
	FullDisk bool
	// OSTree is what rpm-ostree says, OstreeSilent why it says nothing, OstreeError why it changes
	// nothing. NeverLive makes each change need a reboot, Unfinalized is why the last one failed.
	OSTree       host.OSTree
	OstreeSilent error
	OstreeError  error
	NeverLive    bool
	Unfinalized  string
	// Booted is what comes of virtual machines, by program.
	Booted map[string]host.Booted
	// Facts are what an examination of the machine finds. Unloadable are modules that the kernel
	// refuses to load.
	Facts      host.MachineFacts
	Unloadable []string
	// ModulesError is how the service that loads modules ends, whatever it has loaded.
	ModulesError error

	// GoingDown is true from when a reboot was accepted until Boot; RebootError is why none is.
	GoingDown   bool
	RebootError error

	// Changes counts changes, those that fail too. The agent dies just before change CrashBefore
	// and just after change CrashAt; 0 is never.
	Changes, CrashBefore, CrashAt int
	// Lives counts revivals.
	Lives int
	dead  bool
}

// New returns a machine after its boot, as tmpfiles leave it: CRI-O runs and has read no drop-in.
func New(root string, files host.Files) (*Machine, error) {
	m := &Machine{Root: root, Files: files, Registry: map[string]Payload{}, Busy: map[string]bool{}, Shims: map[string]string{}, Facts: Fit()}
	if err := m.tmpfiles(); err != nil {
		return nil, err
	}
	m.startCRIO()
	return m, nil
}

// tmpfiles makes what is there before the agent starts.
func (m *Machine) tmpfiles() error {
	for _, link := range []string{host.CurrentLink, host.ProofLink} {
		if err := m.Files.Link(link, host.Target(host.Pending)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(m.Root, host.SlotDir(host.Pending)), 0o755); err != nil {
		return err
	}
	return nil
}

// Host returns the machine's ports.
func (m *Machine) Host() host.Host {
	return seam.Wrap(host.Host{
		Files: m.Files, Services: services{m}, Images: store{m}, Mounts: kernel{m}, Sandboxes: runtime{m}, Processes: processes{m},
		Guests:  guests{m},
		Ostree:  ostreed{m},
		VMs:     vms{m},
		Machine: hardware{m},
		Power:   power{m},
	}, m.change)
}

// Revive begins the agent's next life, without another crash.
func (m *Machine) Revive() {
	m.dead, m.CrashBefore, m.CrashAt, m.Lives = false, 0, 0, m.Lives+1
}

// Dead tells whether the agent's life has ended.
func (m *Machine) Dead() bool { return m.dead }

// change is the gate of everything that changes the host.
func (m *Machine) change(_ seam.Op, do func() error) error {
	if m.dead {
		return ErrCrash
	}
	m.Changes++
	if m.Changes == m.CrashBefore {
		m.dead = true
		return ErrCrash
	}
	err := do()
	if m.Changes == m.CrashAt {
		m.dead = true
		return ErrCrash
	}
	return err
}

func (m *Machine) path(path string) string { return filepath.Join(m.Root, path) }

func (m *Machine) exists(path string) bool {
	_, err := os.Lstat(m.path(path))
	return err == nil
}
