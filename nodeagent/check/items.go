// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// judged is an item that passes unless one of its cases holds.
type judged struct{ Item }

func about(name string, need need, fine string) *judged {
	return &judged{Item{Name: name, Result: Pass, Sentence: fine, need: need}}
}

// when gives the item its result, where the case holds and none before it has.
func (j *judged) when(holds bool, result Result, sentence, remedy string) *judged {
	if holds && j.Remedy == "" && j.Result == Pass {
		j.Result, j.Sentence, j.Remedy = result, sentence, remedy
	}
	return j
}

func collect(items ...*judged) []Item {
	var out []Item
	for _, i := range items {
		out = append(out, i.Item)
	}
	return out
}

// earliest is a year before this program was written: certificates are not valid yet in it.
const earliest = 2026

func system(f Facts) []Item {
	clock := f.Machine.Clock
	kernel := about("kernel", always, "the running kernel is "+orElse(f.Kernel, "not known"))
	kernel.kernel = f.Kernel
	return collect(
		kernel,
		about("mount namespace", always, "the agent's mounts are visible to CRI-O").
			when(f.Private, Fail, "the agent runs in a mount namespace of its own, so CRI-O would not see its mounts", "remove sandboxing directives from kata-node-agent.service"),
		about("system", always, "the system is installed on disk").
			when(f.Live, Fail, "this is a live system, nothing would survive its end", "install it to disk first").
			when(f.FirstBoot, Fail, "this node has not yet rebooted into its own OS image", "the agent continues after that reboot"),
		about("clock", always, orUnknown(clock.Known, "the clock is synchronised", "whether the clock is synchronised is not known to this process")).
			when(!clock.Now.IsZero() && clock.Now.Year() < earliest, Fail, fmt.Sprintf("the clock shows the year %d, in which no certificate is valid", clock.Now.Year()), "set it, and enable chronyd").
			when(clock.Known && !clock.Synchronised, Warn, "the clock is not synchronised", "enable chronyd or systemd-timesyncd"),
	)
}

func orUnknown(known bool, fine, unknown string) string {
	if known {
		return fine
	}
	return unknown
}

func virtualization(m host.MachineFacts) []Item {
	enable := "turn on virtualization in the firmware"
	if m.Virtual {
		enable = "turn on nested virtualization for this machine in its hypervisor"
	}
	ran := "a virtual machine ran instructions"
	if !m.KVM.Ran {
		ran = "a virtual machine and its processor were created; on this architecture none is run"
	}
	kind := "the host is no virtual machine itself"
	if m.Virtual {
		kind = "the host is a virtual machine itself: Kata's are nested in it, and slower"
	}
	return collect(
		about("processor", virtualMachines, "the processor has "+orElse(strings.Join(m.Extensions, " "), "no flag to look at")).
			when(m.Architecture == "amd64" && len(m.Extensions) == 0, Fail, "the processor shows neither vmx nor svm, so no ordinary kernel can run in a virtual machine", enable).
			when(m.Architecture == "s390x" && len(m.Extensions) == 0, Fail, "the processor does not show sie, so no virtual machine can run", enable),
		about("kvm", virtualMachines, ran).
			when(!m.KVM.Device, Fail, "the host has no /dev/kvm", "load kvm_intel or kvm_amd, or "+enable).
			when(m.KVM.Problem != "", Fail, "/dev/kvm is there, and no virtual machine runs: "+m.KVM.Problem, enable+", and see journalctl -k"),
		about("nesting", always, kind),
	)
}

func devices(m host.MachineFacts) []Item {
	var items []*judged
	for _, d := range host.DeviceModules() {
		module := m.Modules[d.Module]
		items = append(items, about(d.Device, virtualMachines, d.Device+" is there").
			when(!m.Devices[d.Device] && module.Installed, Warn, fmt.Sprintf("there is no %s, and the kernel has module %s", d.Device, d.Module), "the agent loads it for a payload that needs it").
			when(!m.Devices[d.Device] && module.Loaded, Fail, fmt.Sprintf("module %s is loaded, and there is no %s", d.Module, d.Device), "look at systemd-udevd.service").
			when(!m.Devices[d.Device], Fail, fmt.Sprintf("there is no %s, and the running kernel has no module %s", d.Device, d.Module), "install the package with the kernel's modules, such as kernel-modules"))
	}
	return collect(items...)
}

// The oldest versions that Kata's releases of today are tested with.
const (
	oldestQEMU = "6.2"
	oldestCRIO = "1.30"
)

func programs(m host.MachineFacts) []Item {
	return collect(
		program("qemu", "QEMU", hostQEMU, m.QEMU, oldestQEMU, "qemu-kvm-core"),
		program("virtiofsd", "virtiofsd", hostVirtiofsd, m.Virtiofsd, "", "virtiofsd"),
	)
}

func program(name, called string, need need, p host.Program, oldest, pkg string) *judged {
	return about(name, need, fmt.Sprintf("%s is %s, version %s", called, p.Path, p.Version)).
		when(p.Path == "", Fail, "the host has no "+called, fmt.Sprintf("install %s; on OpenShift, the extension sandboxed-containers", pkg)).
		when(p.Problem != "", Warn, fmt.Sprintf("%s (%s) does not print its version: %s", called, p.Path, p.Problem), "run it with --version").
		when(older(p.Version, oldest), Warn, fmt.Sprintf("%s is version %s", called, p.Version), "Kata is tested with "+oldest+" and later")
}

// older is false where either is no version.
func older(version, than string) bool {
	v, err := semver.NewVersion(version)
	limit, errLimit := semver.NewVersion(than)
	return err == nil && errLimit == nil && v.LessThan(limit)
}

// leading are the numbers at the beginning of a kernel's release. What follows them, as in
// 5.14.0-570.el9.x86_64, is the distribution's, and no pre-release.
var leading = regexp.MustCompile(`^[0-9]+(\.[0-9]+){1,2}`)

func olderKernel(release, than string) bool { return older(leading.FindString(release), than) }

const gigabyte = 1 << 30

func resources(m host.MachineFacts) []Item {
	return collect(
		about("cgroups", virtualMachines, orUnknown(m.CgroupVersion != 0, "control groups are version 2", "the version of control groups is not known")).
			when(m.CgroupVersion == 1, Warn, "control groups are version 1", "boot with systemd.unified_cgroup_hierarchy=1: Kubernetes gives version 1 up"),
		about("space", always, amount("the file system of the image store has", m.StoreFree)).
			when(m.StoreFree != 0 && m.StoreFree < gigabyte, Warn, amount("the file system of the image store has only", m.StoreFree), "a payload takes up to 1 GB below "+host.StoreDir+": free some"),
		about("memory", virtualMachines, amount("the host has", m.MemoryAvailable)+" of "+size(m.MemoryTotal)+" memory").
			when(m.MemoryAvailable != 0 && m.MemoryAvailable < gigabyte, Warn, amount("the host has only", m.MemoryAvailable)+" of "+size(m.MemoryTotal)+" memory", "each virtual machine takes some hundred MB"),
	)
}

func amount(what string, bytes uint64) string { return fmt.Sprintf("%s %s free", what, size(bytes)) }

func size(bytes uint64) string {
	if bytes == 0 {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}

func runtime(f Facts) []Item {
	selinux, crio := f.Machine.SELinux, f.CRIO
	return collect(
		about("selinux", always, "SELinux is "+orElse(selinux.Mode, "not known")).
			when(selinux.Unknown != "", Fail, "the SELinux policy does not know "+selinux.Unknown, "install container-selinux, or set selinux_context"),
		about("crio", always, "CRI-O is version "+orElse(crio.Version, "unknown")).
			when(older(crio.Version, oldestCRIO), Warn, "CRI-O is version "+crio.Version, "the agent is tested with "+oldestCRIO+" and later"),
		about("crio storage", virtualMachines, "CRI-O's storage is visible to shims").
			when(f.Machine.PrivateStorage != "", Fail, f.Machine.PrivateStorage+" is a private mount, in which a shim sees no container's files",
				"set skip_mount_home in storage.conf(5), and reboot"),
		about("crio unit", always, "the service of CRI-O has KillMode "+orElse(crio.KillMode, "unknown")).
			when(crio.KillMode != "" && crio.KillMode != "process", Warn, "the service of CRI-O has KillMode "+crio.KillMode+", so its restart ends what lives in its control group", "set KillMode=process in a drop-in for crio.service"),
	)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
