// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheOperatorsComplaintIsHeardWhereItsDaemonHasGivenUp(t *testing.T) {
	t.Parallel()
	managed, complaint := Operated(nil)
	assert.False(t, managed)
	assert.Empty(t, complaint)
	managed, complaint = Operated(map[string]string{mcoState: mcoDone, mcoReason: "old"})
	assert.True(t, managed)
	assert.Empty(t, complaint)
	_, complaint = Operated(map[string]string{mcoState: mcoDegraded, mcoReason: "error: Packages not found:\n kata-containers"})
	assert.Equal(t, "error: Packages not found:; kata-containers", complaint)
}
