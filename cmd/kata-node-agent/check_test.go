// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestACheckIsATable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	items := []check.Item{{Name: "kvm", Result: check.Pass, Sentence: "it ran"}, {Name: "/dev/vhost-vsock", Result: check.Warn, Sentence: "it is not there", Remedy: "load it"}}
	require.NoError(t, printCheck(&out, items, "", false))
	assert.Equal(t, "pass  kvm               it ran\nwarn  /dev/vhost-vsock  it is not there: load it\n", out.String())
}

func TestACheckIsADocumentForPrograms(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	items := []check.Item{{Name: "kvm", Result: check.Fail, Sentence: "the host has no /dev/kvm", Remedy: "load <it>"}}
	require.ErrorIs(t, printCheck(&out, items, "", true), errUnfit, "the exit status")
	var read struct{ Items []check.Item }
	require.NoError(t, json.Unmarshal([]byte(out.String()), &read))
	assert.Equal(t, items, read.Items)
	assert.Contains(t, out.String(), "load <it>")
}

func TestACheckIsForTheWantedPayloadOnceThatIsKnown(t *testing.T) {
	t.Parallel()
	f := plan.Facts{Host: plan.Host{Check: check.Items(check.Facts{})}}
	assert.Contains(t, check.Problem(checked(f)), "/dev/kvm", "most payloads start virtual machines")
	known := updated()
	known.Host.Check = f.Host.Check
	known.Slots.All[1].ID = plan.SlotID(known.Slots.All[1].Platform, "", "")
	assert.Empty(t, check.Problem(checked(known)))
}

// A node of the machine-config operator lacks the programs that most payloads leave to their host.
func TestACheckEndsWithTheMachineConfigThatBringsWhatIsLacking(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w, err := wire(root)
	require.NoError(t, err)
	require.NoError(t, w.tree.Write(host.OperatorConfig, []byte(`{"metadata":{"name":"rendered-telco-0a1b"}}`), 0o600))
	w.self.Architecture = "amd64"
	f := plan.Facts{Packages: packages.Facts{Operated: true}}
	document := w.bringing(f)
	assert.Equal(t, packages.MachineConfig("telco"), document)
	var out strings.Builder
	items := []check.Item{{Name: "qemu", Result: check.Fail, Sentence: "the host has no QEMU"}}
	require.ErrorIs(t, printCheck(&out, items, document, false), errUnfit)
	assert.Equal(t, "fail  qemu  the host has no QEMU\n\n# This MachineConfig brings what the host lacks. Apply it to the cluster: oc apply -f FILE\n"+document, out.String())
	out.Reset()
	require.ErrorIs(t, printCheck(&out, items, document, true), errUnfit)
	var read struct{ MachineConfig string }
	require.NoError(t, json.Unmarshal([]byte(out.String()), &read))
	assert.Equal(t, document, read.MachineConfig)

	f.Packages.QEMU, f.Packages.Virtiofsd = "/q", "/v"
	assert.Empty(t, w.bringing(f), "nothing is lacking")
	assert.Empty(t, w.bringing(plan.Facts{}), "there is no operator")
	assert.Empty(t, w.bringing(updated()), "the payload that is known needs nothing")
}
