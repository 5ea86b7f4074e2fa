// SPDX-License-Identifier: Apache-2.0

// Package check judges whether a host can run Kata, and says what to do where it cannot. It is
// pure: the facts come from nodeagent/host, and what a payload needs from its manifest.
package check

import (
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Result is what an item comes to.
type Result string

// The results. With a failed item, a host cannot run the payload.
const (
	Pass Result = "pass"
	Warn Result = "warn"
	Fail Result = "fail"
)

// Item is one question about the host with its answer.
type Item struct {
	Name     string `json:"name"`
	Result   Result `json:"result"`
	Sentence string `json:"sentence"`
	// Remedy is empty where nothing is to be done.
	Remedy string `json:"remedy,omitempty"`
	// need says which payloads the item counts for.
	need need
	// kernel is the release of the running kernel, in the item about it alone: which ones suffice
	// depends on the payload.
	kernel string
}

// need is what a payload must require for an item to count.
type need int

const (
	always need = iota
	// virtualMachines is for payloads that start virtual machines.
	virtualMachines
	hostQEMU
	hostVirtiofsd
)

func (n need) of(r manifest.Requires) bool {
	switch n {
	case always:
		return true
	case virtualMachines:
		return r.KVM
	case hostQEMU:
		return r.QEMU
	case hostVirtiofsd:
		return r.Virtiofsd
	}
	return true
}

// Facts are what the items are about.
type Facts struct {
	Machine host.MachineFacts
	// Kernel is the release of the running kernel.
	Kernel string
	// Private is whether the agent's mounts would stay invisible to CRI-O, Live whether the system
	// is one that ends with this boot, FirstBoot whether the node has not pivoted to its own system
	// yet.
	Private, Live, FirstBoot bool
	CRIO                     CRIO
}

// CRIO is the container runtime.
type CRIO struct {
	// Version and KillMode are empty while they are not known.
	Version, KillMode string
}

// Usual is what most payloads require: virtual machines of the host's QEMU.
func Usual() manifest.Requires {
	return manifest.Requires{KVM: true, QEMU: true, Virtiofsd: true, Kernel: true, OldestKernel: "5.14"}
}

// Items answers every question, in the order in which they are worth asking.
func Items(f Facts) []Item {
	return slices.Concat(system(f), virtualization(f.Machine), devices(f.Machine), programs(f.Machine), resources(f.Machine), runtime(f))
}

// For returns the items as they count for a payload. What it does not need does not fail.
func For(items []Item, r manifest.Requires) []Item {
	out := slices.Clone(items)
	for i := range out {
		if !out[i].need.of(r) {
			out[i].Result, out[i].Remedy = Pass, ""
			out[i].Sentence += " (not needed by this payload)"
		}
		if out[i].kernel != "" && olderKernel(out[i].kernel, r.OldestKernel) {
			out[i].Result, out[i].Remedy = Fail, "update the operating system, or use a payload for older kernels"
			out[i].Sentence = fmt.Sprintf("the running kernel is %s, and the payload needs Linux %s or later", out[i].kernel, r.OldestKernel)
		}
	}
	return out
}

// Failed reports whether an item has failed.
func Failed(items []Item) bool { return Problem(items) != "" }

// Problem returns the first failed item with its remedy as one sentence, empty where none has
// failed.
func Problem(items []Item) string {
	for _, item := range items {
		if item.Result == Fail {
			return item.Line()
		}
	}
	return ""
}

// Line is the item as one sentence.
func (i Item) Line() string {
	if i.Remedy == "" {
		return i.Sentence
	}
	return i.Sentence + ": " + i.Remedy
}

// LoadableModules returns the kernel modules that are missing and can be loaded.
func LoadableModules(m host.MachineFacts) []string {
	var names []string
	for _, d := range host.DeviceModules() {
		if !m.Devices[d.Device] && m.Modules[d.Module].Installed {
			names = append(names, d.Module)
		}
	}
	return names
}
