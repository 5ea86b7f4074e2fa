// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestAPayloadForNewerKernelsIsMountedAndNoMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	newer := hosttest.Payload{Version: "7.0.0", Shim: "#!/bin/true seven", Requires: manifest.Requires{OldestKernel: "6.13"}}
	b.Registry[newer.Reference()] = newer
	b.want(t, installing(newer))
	done, last := b.settle(t)
	assert.Equal(t, plan.Verify, done[len(done)-1])
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	assert.Equal(t, "the running kernel is 6.12, and the payload needs Linux 6.13 or later: update the operating system, or use a payload for older kernels", b.look(t).Unfit())

	b.self.Kernel = "6.13"
	_, last = b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}
