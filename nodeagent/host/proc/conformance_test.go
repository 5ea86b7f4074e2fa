// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"os"
	"testing"

	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/proc"
)

func TestTheProcessTableConforms(t *testing.T) {
	t.Parallel()
	if os.Getpid() != 1 {
		t.Skip("a process table of its own needs root")
	}
	root := t.TempDir()
	hosttest.ConformProcesses(t, proc.Below(root), func(path string) (int, func()) { return child(t, installed(t, root, path)) })
}
