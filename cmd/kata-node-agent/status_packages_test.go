// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestStatusOfPackages(t *testing.T) {
	t.Parallel()
	f := updated()
	assert.Empty(t, packagesLine(f))
	assert.Empty(t, systemLine(f.Packages))
	f.Slots.All[1].ID = plan.SlotID("sha256:b", "", "")
	f.Slots.All[1].Platform, f.Slots.Current = "sha256:b", f.Slots.All[1].ID
	f.Slots.All[1].Verified = &record.Verified{HandlerType: "vm", Needs: record.Needs{QEMU: true}}
	assert.Equal(t, "Auto chose None: this is no system of rpm-ostree; this host has no QEMU, which the payload needs: install it in the operating system, "+
		"or use a payload that brings it", packagesLine(f))

	assert.Empty(t, toApply(f))
	f.Packages.Operated, f.Packages.Pool = true, "worker"
	f.Host.Architecture, f.Slots.All[1].Verified.Architecture = "amd64", "amd64"
	assert.Contains(t, packagesLine(f), "; this host has no QEMU: apply MachineConfig 50-enable-sandboxed-containers-extension with extensions: [sandboxed-containers] to pool worker (")
	var out strings.Builder
	require.NoError(t, printStatus(&out, "active", f))
	_, document, found := strings.Cut(out.String(), "\n\n# This MachineConfig brings what the host lacks. Apply it to the cluster: oc apply -f FILE\n")
	require.True(t, found)
	assert.Equal(t, packages.MachineConfig("worker"), document)
	assert.Equal(t, document, describe("active", f).Host.MachineConfig)
	f.Packages.Operated = false

	f.Packages.Problem = "no daemon"
	assert.Equal(t, "rpm-ostree does not answer: no daemon", systemLine(f.Packages))
	f.Packages = packages.Facts{
		System: host.OSTree{
			Exists: true, Transaction: &host.Transaction{Method: "upgrade", Sender: ":1.7"},
			Deployments: []host.Deployment{{Checksum: "0123456789abcdef"}, {Version: "44.1", Checksum: "fedcba9876543210", Booted: true}},
		},
		Layered: &record.Layered{Packages: make([]record.Package, 2)},
	}
	assert.Equal(t, "booted 44.1 fedcba987654, next 0123456789ab, rpm-ostree works on upgrade for :1.7, 2 packages layered by this agent", systemLine(f.Packages))
}
