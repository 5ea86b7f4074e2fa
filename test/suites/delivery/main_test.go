// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"os"
	"testing"
)

// TestMain hides from the make that tests run the one that runs the tests: with its flags, the
// inner one would look for the outer one's jobs, and say that it has found none.
func TestMain(m *testing.M) {
	for _, name := range []string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL"} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
