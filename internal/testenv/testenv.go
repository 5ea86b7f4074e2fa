// SPDX-License-Identifier: Apache-2.0

// Package testenv reads the size of a test from its environment, where flags of the test's own
// would cost its results: Go remembers them by the variables that the test reads while it runs, and
// remembers none of a test that has other flags than Go's (go help test).
package testenv

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Uint64 is the value of a variable, or usual where it is not set. The test fails where the value is
// no number.
func Uint64(t testing.TB, variable string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	value, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "%s: a whole number is needed", variable)
	return value
}
