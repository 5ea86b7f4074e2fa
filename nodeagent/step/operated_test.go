// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// list makes the machine-config daemon manage files of these names. A rendered MachineConfig may
// have a megabyte and a half.
func (b *bench) list(t *testing.T, files ...string) {
	t.Helper()
	entries := []string{`{"path":"/etc/large","contents":{"source":"data:,` + strings.Repeat("x", 1500<<10) + `"}}`}
	for _, file := range files {
		entries = append(entries, fmt.Sprintf(`{"path":%q,"mode":420,"contents":{"source":"data:,"}}`, file))
	}
	document := `{"kind":"MachineConfig","metadata":{"name":"rendered-worker-1"},"spec":{"config":{"ignition":{"version":"3.4.0"},"storage":{"files":[` + strings.Join(entries, ",") + `]}}}}`
	require.NoError(t, b.Files.Write(host.OperatorConfig, []byte(document), 0o600))
}

// fails runs the step that comes next and returns its error.
func (b *bench) fails(t *testing.T, kind plan.Kind) error {
	t.Helper()
	s, f := b.until(t, kind)
	return b.runner().Run(t.Context(), s, f)
}

func TestAFileThatAMachineConfigListsIsNeitherWrittenNorDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.list(t, host.DropIn, host.ModulesFile)
	b.want(t, installing(two()))
	require.ErrorContains(t, b.fails(t, plan.LoadModules), "MachineConfig rendered-worker-1 lists "+host.ModulesFile)
	assert.NoFileExists(t, filepath.Join(b.Root, host.ModulesFile))
	b.list(t, host.DropIn)
	require.ErrorContains(t, b.fails(t, plan.WriteDropIn), "MachineConfig rendered-worker-1 lists "+host.DropIn)
	assert.NoFileExists(t, filepath.Join(b.Root, host.DropIn))
	b.list(t)
	_, last := b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)
	before := b.state(t).files[host.DropIn[1:]]

	b.list(t, host.DropIn, host.ModulesFile)
	b.want(t, node.Intent{State: node.StateAbsent})
	require.ErrorContains(t, b.fails(t, plan.RemoveDropIn), "take that file out of the MachineConfig")
	assert.Equal(t, before, b.state(t).files[host.DropIn[1:]])
	b.list(t, host.ModulesFile)
	require.ErrorContains(t, b.fails(t, plan.Clear), "MachineConfig rendered-worker-1 lists "+host.ModulesFile)
	assert.FileExists(t, filepath.Join(b.Root, host.ModulesFile))
	b.list(t)
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
	assert.NoFileExists(t, filepath.Join(b.Root, host.ModulesFile))
}

func TestWhatTheMachineConfigDaemonCannotReadItselfHoldsNothingUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.Files.Write(host.OperatorConfig, []byte("{"), 0o600))
	b.want(t, installing(one()))
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}
