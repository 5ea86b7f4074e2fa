// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"strings"

	"github.com/kata-node/kata-node/test/bed/machine"
)

// Skipper is what [Require] needs of a testing.T.
type Skipper interface {
	Helper()
	Skipf(format string, args ...any)
}

// Require skips a test that needs nodes where there can be none, and says why.
func Require(t Skipper) {
	t.Helper()
	if reasons := Missing(); len(reasons) > 0 {
		t.Skipf("needs nodes with systemd, which cannot run here: %s", strings.Join(reasons, "; "))
	}
}

// Missing says in sentences why nodes cannot run on this host. It is empty when they can.
func Missing() []string { return machine.Missing() }
