// SPDX-License-Identifier: Apache-2.0

package story_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/stage"
	"github.com/kata-node/kata-node/test/story"
)

// The demo tells this story too; here our own programs run with the race detector.
func TestTheWholeStory(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	set, err := stage.Set(t.Context(), stage.Options{Race: true, Kubectl: true, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if t.Failed() {
			set.Logs(ctx, os.Stderr, "kata-agent.service", "crio.service", "kubelet.service")
		}
		assert.NoError(t, set.Close(ctx))
	})
	tale := &story.Story{Stage: set, Out: os.Stderr}
	require.NoError(t, tale.Tell(t.Context()))
}
