// SPDX-License-Identifier: Apache-2.0

package difference_test

import (
	"os"
	"testing"
	"time"
)

// TestMain builds payloads as the program does: the times in tables of contents are local ones.
func TestMain(m *testing.M) {
	time.Local = time.UTC //nolint:gosmopolitan // the same digest in every time zone
	os.Exit(m.Run())
}
