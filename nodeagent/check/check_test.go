// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/payload/manifest"
)

// maxHostCheck is what a report keeps of a sentence.
const maxHostCheck = 200

func fit() check.Facts {
	return check.Facts{Machine: hosttest.Fit(), Kernel: "5.14.0-570.21.1.el9_6.x86_64", CRIO: check.CRIO{Version: "1.36.3", KillMode: "process"}}
}

func TestEveryPayloadRunsOnAFitHost(t *testing.T) {
	t.Parallel()
	for _, item := range check.For(check.Items(fit()), check.Usual()) {
		assert.Equal(t, check.Pass, item.Result, "%s", item.Line())
		assert.Empty(t, item.Remedy)
	}
}

func lack(device string, module host.Module) func(f *check.Facts) {
	return func(f *check.Facts) {
		for _, d := range host.DeviceModules() {
			if d.Device == device {
				f.Machine.Devices[device], f.Machine.Modules[d.Module] = false, module
			}
		}
	}
}

func TestWhatAHostLacks(t *testing.T) {
	t.Parallel()
	installed, none := host.Module{Installed: true}, host.Module{}
	for says, c := range map[string]struct {
		item   string
		result check.Result
		change func(f *check.Facts)
	}{
		"mount namespace of its own":       {"mount namespace", check.Fail, func(f *check.Facts) { f.Private = true }},
		"live system":                      {"system", check.Fail, func(f *check.Facts) { f.Live = true }},
		"not yet rebooted":                 {"system", check.Fail, func(f *check.Facts) { f.FirstBoot = true }},
		"the year 1970":                    {"clock", check.Fail, func(f *check.Facts) { f.Machine.Clock.Now = time.Unix(0, 0).UTC() }},
		"not synchronised":                 {"clock", check.Warn, func(f *check.Facts) { f.Machine.Clock.Synchronised = false }},
		"needs Linux 5.14 or later":        {"kernel", check.Fail, func(f *check.Facts) { f.Kernel = "4.18.0-553.el8.x86_64" }},
		"neither vmx nor svm":              {"processor", check.Fail, func(f *check.Facts) { f.Machine.Extensions = nil }},
		"does not show sie":                {"processor", check.Fail, func(f *check.Facts) { f.Machine.Architecture, f.Machine.Extensions = "s390x", nil }},
		"no /dev/kvm":                      {"kvm", check.Fail, func(f *check.Facts) { f.Machine.KVM = host.KVM{} }},
		"no virtual machine runs: running": {"kvm", check.Fail, func(f *check.Facts) { f.Machine.KVM.Problem = "running a virtual processor: input/output error" }},
		"has module vhost_vsock":           {"/dev/vhost-vsock", check.Warn, lack("/dev/vhost-vsock", installed)},
		"vhost_net is loaded":              {"/dev/vhost-net", check.Fail, lack("/dev/vhost-net", host.Module{Loaded: true})},
		"no module tun":                    {"/dev/net/tun", check.Fail, lack("/dev/net/tun", none)},
		"no QEMU":                          {"qemu", check.Fail, func(f *check.Facts) { f.Machine.QEMU = host.Program{} }},
		"QEMU is version 5.2.0":            {"qemu", check.Warn, func(f *check.Facts) { f.Machine.QEMU.Version = "5.2.0" }},
		"does not print its version":       {"qemu", check.Warn, func(f *check.Facts) { f.Machine.QEMU.Problem = "exit status 127" }},
		"no virtiofsd":                     {"virtiofsd", check.Fail, func(f *check.Facts) { f.Machine.Virtiofsd = host.Program{} }},
		"control groups are version 1":     {"cgroups", check.Warn, func(f *check.Facts) { f.Machine.CgroupVersion = 1 }},
		"has only 0.1 GB":                  {"space", check.Warn, func(f *check.Facts) { f.Machine.StoreFree = 100e6 }},
		"has only 0.2 GB":                  {"memory", check.Warn, func(f *check.Facts) { f.Machine.MemoryAvailable = 200e6 }},
		"policy does not know":             {"selinux", check.Fail, func(f *check.Facts) { f.Machine.SELinux.Unknown = "system_u:object_r:container_runtime_exec_t:s0" }},
		"CRI-O is version 1.25.1":          {"crio", check.Warn, func(f *check.Facts) { f.CRIO.Version = "1.25.1" }},
		"a private mount":                  {"crio storage", check.Fail, func(f *check.Facts) { f.Machine.PrivateStorage = "/var/lib/containers/storage/overlay" }},
		"KillMode control-group":           {"crio unit", check.Warn, func(f *check.Facts) { f.CRIO.KillMode = "control-group" }},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			facts := fit()
			c.change(&facts)
			items := check.For(check.Items(facts), check.Usual())
			var found check.Item
			for _, item := range items {
				if item.Name == c.item {
					found = item
				} else {
					assert.Equal(t, check.Pass, item.Result, "%s", item.Line())
				}
			}
			assert.Equal(t, c.result, found.Result)
			assert.Contains(t, found.Line(), says)
			assert.NotEmpty(t, found.Remedy)
			assert.LessOrEqual(t, len(found.Line()), maxHostCheck)
			assert.Equal(t, c.result == check.Fail, check.Failed(items))
			if c.result == check.Fail {
				assert.Equal(t, found.Line(), check.Problem(items))
			}
		})
	}
}

// bare is a host without anything that virtual machines need.
func bare() check.Facts {
	f := fit()
	f.Machine.KVM, f.Machine.Extensions, f.Machine.QEMU, f.Machine.Virtiofsd = host.KVM{}, nil, host.Program{}, host.Program{}
	f.Machine.PrivateStorage = "/var/lib/containers/storage/overlay"
	for _, d := range host.DeviceModules() {
		f.Machine.Devices[d.Device], f.Machine.Modules[d.Module] = false, host.Module{}
	}
	return f
}

func TestWhatAPayloadDoesNotNeedDoesNotFail(t *testing.T) {
	t.Parallel()
	items := check.Items(bare())
	assert.Empty(t, check.Problem(check.For(items, manifest.Requires{})))
	for name, requires := range map[string]manifest.Requires{
		"processor": {KVM: true}, "qemu": {QEMU: true}, "virtiofsd": {Virtiofsd: true}, "crio storage": {KVM: true},
	} {
		var failed []string
		for _, item := range check.For(items, requires) {
			if item.Result == check.Fail {
				failed = append(failed, item.Name)
			}
		}
		assert.Contains(t, failed, name)
		assert.Equal(t, requires.KVM, slices.Contains(failed, "kvm"))
		assert.Equal(t, requires.QEMU, slices.Contains(failed, "qemu"))
	}
}

func TestAKernelIsComparedByItsLeadingNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		release, oldest string
		fails           bool
	}{
		{"5.14.0-570.el9.x86_64", "5.14", false},
		{"5.14.0-570.el9.x86_64", "5.14.0", false},
		{"5.14.0-570.el9.x86_64", "5.14.1", true},
		{"5.9.16-arch1-1", "5.14", true},
		{"6.12.48+deb13-amd64", "6.12.48", false},
		{"6.18-rc1", "6.18", false},
		{"10.0.1", "9.9", false},
		{"4.4.0", "", false},
		{"unknown", "5.14", false},
		{"", "5.14", false},
	} {
		f := fit()
		f.Kernel = c.release
		items := check.Items(f)
		assert.Equal(t, c.fails, check.Failed(check.For(items, manifest.Requires{OldestKernel: c.oldest})), "%+v", c)
		assert.False(t, check.Failed(items), "it depends on the payload")
	}
}

func TestModulesThatCanBeLoaded(t *testing.T) {
	t.Parallel()
	f := fit()
	assert.Empty(t, check.LoadableModules(f.Machine))
	lack("/dev/vhost-vsock", host.Module{Installed: true})(&f)
	lack("/dev/net/tun", host.Module{})(&f)
	assert.Equal(t, []string{"vhost_vsock"}, check.LoadableModules(f.Machine))
}

func TestWhatIsNotKnownIsNoFailure(t *testing.T) {
	t.Parallel()
	items := check.Items(check.Facts{})
	require.NotEmpty(t, items)
	assert.Empty(t, check.Problem(check.For(items, manifest.Requires{})))
}
