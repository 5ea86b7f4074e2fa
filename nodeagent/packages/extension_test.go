// SPDX-License-Identifier: Apache-2.0

package packages_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/packages"
)

func TestTheExtensionIsVerifiedAndNeverInstalled(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]row{
		"available": {facts: packages.Facts{System: system(running(requested)), Operated: true, QEMU: "/q", Virtiofsd: "/v"}},
		"pending reboot": {
			facts:   packages.Facts{System: system(staged(requested), running()), Operated: true},
			verdict: packages.Wait, says: "the machine-config operator to reboot this node",
		},
		"pending reboot of a node that no operator reboots": {
			facts:   packages.Facts{System: system(staged(requested), running())},
			verdict: packages.Wait, says: "a reboot: the next deployment has the package kata-containers", reboot: true,
		},
		"not asked for": {
			facts:   packages.Facts{System: system(running()), Operated: true},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, apply: packages.MachineConfig(""),
			says: "this host has no QEMU and no virtiofsd: apply MachineConfig 50-enable-sandboxed-containers-extension with extensions: [sandboxed-containers] to its pool (kata-node-agent status on the node prints it)",
		},
		"not asked for in a pool of its own": {
			facts:   packages.Facts{System: system(running()), Operated: true, Pool: "telco", QEMU: "/q"},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, apply: packages.MachineConfig("telco"),
			says: "this host has no virtiofsd: apply MachineConfig 50-enable-sandboxed-containers-extension-telco with extensions: [sandboxed-containers] to pool telco (",
		},
		"not asked for, and no operator": {
			facts:   packages.Facts{System: system(running())},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, says: "no machine-config operator",
		},
		"layered without QEMU": {
			facts:   packages.Facts{System: system(running(requested)), Operated: true},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, says: "although its package kata-containers is layered",
		},
		"rpm-ostree is silent": {
			facts:   packages.Facts{Problem: "no daemon", Operated: true},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, says: "no daemon",
		},
	} {
		r.mode, r.want = node.HostPackagesExtension, node.HostPackagesExtension
		r.check(t, name)
	}
}

// Two pools may need it, and an object of the same name would move it from one to the other.
func TestTheMachineConfigOfAPoolIsAnObjectOfItsOwn(t *testing.T) {
	t.Parallel()
	type config struct {
		Kind     string `yaml:"kind"`
		Metadata struct {
			Name   string            `yaml:"name"`
			Labels map[string]string `yaml:"labels"`
		} `yaml:"metadata"`
		Spec struct {
			Extensions []string `yaml:"extensions"`
		} `yaml:"spec"`
	}
	names := map[string]bool{}
	for _, pool := range []string{"worker", "master", "telco"} {
		var c config
		require.NoError(t, yaml.Unmarshal([]byte(packages.MachineConfig(pool)), &c))
		assert.Equal(t, "MachineConfig", c.Kind)
		assert.Equal(t, map[string]string{"machineconfiguration.openshift.io/role": pool}, c.Metadata.Labels)
		assert.Equal(t, []string{"sandboxed-containers"}, c.Spec.Extensions)
		names[c.Metadata.Name] = true
	}
	assert.Len(t, names, 3)
	assert.True(t, names["50-enable-sandboxed-containers-extension"], "that of the sandboxed containers operator")
	assert.Equal(t, packages.MachineConfig("worker"), packages.MachineConfig(""))
}

// OpenShift builds exist whose operating system has no such extension, and architectures.
func TestAnExtensionMissingFromThisOSBuildIsAStateAndNoLoop(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]row{
		"the daemon has given up": {
			facts: packages.Facts{System: system(running()), Operated: true, Complaint: "error: Packages not found: kata-containers"},
			says:  "the machine-config daemon says error: Packages not found: kata-containers",
		},
		"the operator does not know it": {
			facts: packages.Facts{System: system(running()), Operated: true, Complaint: "invalid extensions found: [sandboxed-containers]"},
			says:  "missing from this build",
		},
		"another architecture": {
			facts: packages.Facts{System: system(running()), Operated: true}, order: func(o *packages.Order) { o.Architecture = "arm64" },
			says: "x86_64 and s390x only",
		},
	} {
		r.mode, r.want, r.verdict, r.reason = node.HostPackagesExtension, node.HostPackagesExtension, packages.Refuse, node.ReasonExtensionUnavailable
		r.check(t, name)
	}
}
