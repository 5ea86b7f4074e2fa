// SPDX-License-Identifier: Apache-2.0

package capabilities_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/shim/capabilities"
)

func TestACapabilityThatTheHostTookIsNotAskedFor(t *testing.T) {
	t.Parallel()
	asked := &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL", "CAP_SYS_RESOURCE"}, Effective: []string{"CAP_SYS_RESOURCE"}}
	less := capabilities.Without(asked, []string{"CAP_SYS_RESOURCE"})
	assert.Equal(t, &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}, Effective: []string{}}, less)
	assert.Len(t, asked.Bounding, 2, "CRI-O's own stay")
	assert.Nil(t, capabilities.Without(nil, nil))
}

func TestWhatTheHostTookIsNamedAsInSpecs(t *testing.T) {
	t.Parallel()
	taken, err := capabilities.Taken()
	require.NoError(t, err)
	for _, name := range taken {
		assert.Regexp(t, "^CAP_[A-Z_]+$", name)
	}
}
