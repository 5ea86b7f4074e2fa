// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"os"
	"testing"

	"go.podman.io/storage/pkg/reexec"
)

// TestMain lets the library call this program again to unpack layers.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	// Under the race detector, each of those would sleep for a second before it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
