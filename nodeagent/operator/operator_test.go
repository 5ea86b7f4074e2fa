// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/operator"
)

func TestTheAppliedMachineConfigIsRead(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	_, err := operator.Load(tree)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, tree.Write(host.OperatorConfig, []byte(`{"kind":"MachineConfig","metadata":{"name":"rendered-worker-1a"},"spec":{"extensions":[],
		"config":{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/etc//a"},{"path":"/etc/b","mode":420}]}}}}`), 0o600))
	c, err := operator.Load(tree)
	require.NoError(t, err)
	assert.Equal(t, operator.Config{Name: "rendered-worker-1a", Files: []string{"/etc/a", "/etc/b"}}, c)
	require.NoError(t, tree.Write(host.OperatorConfig, []byte("{"), 0o600))
	_, err = operator.Load(tree)
	require.ErrorContains(t, err, "reading "+host.OperatorConfig+": ")
}

func TestAMachineConfigNamesItsPool(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"rendered-worker-0123456789abcdef0123456789abcdef": "worker",
		"rendered-master-0a":             "master",
		"rendered-worker-cnf-2.x-99":     "worker-cnf-2.x",
		"worker":                         "",
		"rendered-worker":                "",
		"rendered-a: [b]\n-0a":           "",
		"rendered--0a":                   "",
		"rendered-worker-latest":         "",
		"99-worker-generated-registries": "",
	} {
		assert.Equal(t, want, operator.Config{Name: name}.Pool(), name)
	}
}
