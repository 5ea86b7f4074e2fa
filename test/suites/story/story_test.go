// SPDX-License-Identifier: Apache-2.0

package story_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/suites/story"
)

// The demo tells this story too; here our own programs run with the race detector.
func TestTheWholeStory(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	cluster, err := fixture.Start(t.Context(), fixture.Options{Race: true, Kubectl: true, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if t.Failed() {
			cluster.Logs(ctx, os.Stderr, "kata-node-agent.service", "crio.service", "kubelet.service")
		}
		assert.NoError(t, cluster.Close(ctx))
	})
	whole := &story.Story{Cluster: cluster, Out: os.Stderr}
	require.NoError(t, whole.Run(t.Context()))
}
