// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheOperatorsComplaintIsHeardWhereItsDaemonHasGivenUp(t *testing.T) {
	t.Parallel()
	managed, complaint := operated(nil)
	assert.False(t, managed)
	assert.Empty(t, complaint)
	managed, complaint = operated(map[string]string{mcoState: mcoDone, mcoReason: "old"})
	assert.True(t, managed)
	assert.Empty(t, complaint)
	_, complaint = operated(map[string]string{mcoState: mcoDegraded, mcoReason: "error: Packages not found:\n kata-containers"})
	assert.Equal(t, "error: Packages not found:; kata-containers", complaint)
}
