// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/internal/testenv"
)

func TestAVariableGivesASize(t *testing.T) {
	t.Setenv("SEEDS", "")
	assert.Equal(t, 20, testenv.Number(t, "SEEDS", 20))
	t.Setenv("SEEDS", "600")
	assert.Equal(t, 600, testenv.Number(t, "SEEDS", 20))
}
