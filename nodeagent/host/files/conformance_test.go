// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"testing"

	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

func TestATreeConforms(t *testing.T) {
	t.Parallel()
	hosttest.ConformFiles(t, files.Below(t.TempDir()))
}
