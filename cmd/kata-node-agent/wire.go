// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/fileclient"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/crio"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/guests"
	"github.com/kata-node/kata-node/nodeagent/host/images"
	"github.com/kata-node/kata-node/nodeagent/host/machine"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
	"github.com/kata-node/kata-node/nodeagent/host/ostree"
	"github.com/kata-node/kata-node/nodeagent/host/proc"
	"github.com/kata-node/kata-node/nodeagent/host/qemu"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/settings"
	"github.com/kata-node/kata-node/nodeagent/vmm"
	"github.com/kata-node/kata-node/payload/inspect"
)

// wiring is the agent's host with the adapters that have a life of their own.
type wiring struct {
	host     host.Host
	tree     files.Tree
	settings settings.Settings
	store    *images.Store
	cri      *crio.Client
	self     host.Identity
}

func wire(root string) (*wiring, error) {
	tree := files.Below(root)
	s, err := settings.Load(tree)
	if err != nil {
		return nil, err
	}
	cri, err := crio.Dial(tree.Path(s.CRISocket))
	if err != nil {
		return nil, err
	}
	self, err := identify(s)
	if err != nil {
		return nil, err
	}
	store := images.Below(root, host.StoreDir, host.StoreRunDir, s.PullSecret)
	store.Bandwidth = s.PullBandwidth
	if s.SignaturePolicy != "" {
		store.Policy = tree.Path(s.SignaturePolicy)
	}
	kernel := mounts.Below(root, label(s.SELinuxContext))
	store.MostLayers = kernel.MostLayers
	h := host.Host{
		Files: tree, Services: systemd.Manager{}, Images: store,
		Mounts: kernel, Sandboxes: cri, Processes: proc.Below(root),
		Guests:  guests.Builder{Path: tree.Path, Stream: tree.Stream, Label: label(guests.Label)},
		Ostree:  ostree.Below(root),
		VMs:     qemu.Below(root),
		Machine: machine.Below(root, s.SELinuxContext, machine.Places{QEMU: vmm.QEMU(runtime.GOARCH).Candidates, Virtiofsd: vmm.Virtiofsd().Candidates}),
		Power:   systemd.Manager{},
	}
	observer := observe.Observer{Host: h, Self: self}
	store.RuntimePolicy, store.Lacks, store.Thresholds = observer.SignaturePolicy, observer.Lacks, observer.Thresholds
	return &wiring{settings: s, store: store, tree: tree, cri: cri, self: self, host: h}, nil
}

// source is where the intent comes from and the report goes to.
type source interface {
	cluster.API
	cluster.Drain
	// Run follows it until ctx ends, and Changed receives after what it returns may have changed.
	Run(ctx context.Context)
	Changed() <-chan struct{}
}

// source is the API server, unless a setting names a file.
func (w *wiring) source(root string, log logrus.FieldLogger) source {
	if file := w.settings.IntentFile; file != "" {
		return fileclient.New(w.tree, file, log)
	}
	return nodeclient.New(w.kubeconfig(root), log)
}

// shown is what a command knows that asks no API server: the intent file where there is one, and
// nothing of a cluster.
func (w *wiring) shown() cluster.State {
	if file := w.settings.IntentFile; file != "" {
		return fileclient.Follow(w.tree, file)
	}
	return cluster.State{}
}

// label is empty on hosts without SELinux, whose kernel refuses the mount option and ignores labels
// of files.
func label(context string) string {
	if !labelled() {
		return ""
	}
	return context
}

// labelled is whether SELinux is on.
func labelled() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

// ownContext is described at [host.Identity].
func ownContext(context string) string {
	if !labelled() || context == settings.Default().SELinuxContext {
		return ""
	}
	return "selinux_context=" + context
}

// program identifies the file that this process runs.
func program() (string, error) {
	var file strings.Builder
	err := inspect.FileIdentity(&file, "/proc/self/exe")
	return version + " " + strings.TrimSpace(file.String()), err
}

func identify(s settings.Settings) (host.Identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return host.Identity{}, fmt.Errorf("reading the boot id: %w", err)
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return host.Identity{}, fmt.Errorf("reading the kernel release: %w", err)
	}
	build, err := program()
	if err != nil {
		return host.Identity{}, fmt.Errorf("identifying this program: %w", err)
	}
	return host.Identity{
		Build: build, BootID: strings.TrimSpace(string(boot)), Architecture: runtime.GOARCH,
		Kernel: unix.ByteSliceToString(kernel.Release[:]), CRIOUnit: s.CRIOUnit, AllowedPayloads: s.AllowedPayloads,
		PayloadKernel: s.GuestKernel == settings.PayloadKernel, OwnContext: ownContext(s.SELinuxContext),
		AllowLayering: s.AllowLayering, Arm: s.Arm, ProofTimeout: s.ProofTimeout.Duration,
	}, nil
}

// agentUnit is the service that this program runs as.
const agentUnit = "kata-node-agent.service"

// sentence is what systemctl status shows of the agent, or why that is not known: the rest of a
// status is no less true for it.
func (w *wiring) sentence(ctx context.Context) string {
	unit, err := w.host.Services.Unit(ctx, agentUnit)
	if err != nil {
		return node.Sentence("unknown: " + err.Error())
	}
	return fmt.Sprintf("%s: %s", unit.ActiveState, unit.Status)
}

// untouched is a host whose image store is not opened: its library writes to a store that it only
// reads.
func (w *wiring) untouched() host.Host {
	h := w.host
	h.Images = peeked{w.store}
	return h
}

// peeked is a store that is looked at from outside.
type peeked struct{ *images.Store }

// List reads a copy of the store's records.
func (p peeked) List(context.Context) ([]host.Image, error) { return p.Peek() }

// kubeconfig is below the root as everything else.
func (w *wiring) kubeconfig(root string) string { return filepath.Join(root, w.settings.Kubeconfig) }
