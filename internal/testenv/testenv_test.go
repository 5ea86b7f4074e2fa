// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/internal/testenv"
)

func TestAVariableGivesASize(t *testing.T) {
	t.Setenv("SEEDS", "")
	assert.Equal(t, uint64(20), testenv.Uint64(t, "SEEDS", 20))
	t.Setenv("SEEDS", "600")
	assert.Equal(t, uint64(600), testenv.Uint64(t, "SEEDS", 20))
}
