// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestACheckIsATable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	items := []check.Item{{Name: "kvm", Result: check.Pass, Sentence: "it ran"}, {Name: "/dev/vhost-vsock", Result: check.Warn, Sentence: "it is not there", Remedy: "load it"}}
	require.NoError(t, printCheck(&out, items, false))
	assert.Equal(t, "pass  kvm               it ran\nwarn  /dev/vhost-vsock  it is not there: load it\n", out.String())
}

func TestACheckIsADocumentForPrograms(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	items := []check.Item{{Name: "kvm", Result: check.Fail, Sentence: "the host has no /dev/kvm", Remedy: "load <it>"}}
	require.ErrorIs(t, printCheck(&out, items, true), errUnfit, "the exit status")
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
