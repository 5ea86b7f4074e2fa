// SPDX-License-Identifier: Apache-2.0

// Package testenv reads the size of a test from its environment, where flags of the test's own
// would cost its results: Go remembers them by the variables that the test reads while it runs, and
// remembers none of a test that has other flags than Go's (go help test).
package testenv

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Number is the value of a variable, or usual where it is not set. The test fails where the value
// is no such number.
func Number[N int | int64 | uint64](t *testing.T, variable string, usual N) N {
	t.Helper()
	text := os.Getenv(variable) //nolint:forbidigo // It is a test that reads it.
	if text == "" {
		return usual
	}
	var value N
	_, err := fmt.Sscan(text, &value)
	require.NoError(t, err, "%s: a whole number is needed", variable)
	require.Equal(t, text, fmt.Sprint(value), "%s: a whole number is needed", variable)
	return value
}
