// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
)

func TestBusy(t *testing.T) {
	t.Parallel()
	keys := func(state, current, desired, last, drain string) map[string]string {
		const mco = "machineconfiguration.openshift.io/"
		return map[string]string{mco + "state": state, mco + "currentConfig": current, mco + "desiredConfig": desired, mco + "lastAppliedDrain": last, mco + "desiredDrain": drain}
	}
	for name, c := range map[string]struct {
		annotations map[string]string
		busy        bool
	}{
		"no operator":      {nil, false},
		"at rest":          {keys("Done", "a", "a", "uncordon-a", "uncordon-a"), false},
		"at work":          {keys("Working", "a", "a", "u", "u"), true},
		"degraded":         {keys("Degraded", "a", "a", "u", "u"), true},
		"about to begin":   {keys("Done", "a", "b", "u", "u"), true},
		"about to drain":   {keys("Done", "a", "a", "uncordon-a", "drain-b"), true},
		"before its first": {map[string]string{"machineconfiguration.openshift.io/state": "Done"}, false},
	} {
		assert.Equal(t, c.busy, node.Busy(c.annotations) != "", name)
	}
	assert.Contains(t, node.Busy(keys("Degraded", "a", "a", "u", "u")), "given up on this node", "a person is needed")
}
