// SPDX-License-Identifier: Apache-2.0

package stage_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/stage"
)

func TestThin(t *testing.T) {
	bed.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	s, err := stage.Set(ctx, stage.Options{Progress: os.Stderr})
	require.NoError(t, err)
	defer func() {
		if t.Failed() {
			s.Logs(context.WithoutCancel(ctx), os.Stderr, "kata-agent.service", "crio.service", "kubelet.service")
		}
		require.NoError(t, s.Close(ctx))
	}()
	v1, err := s.Push(ctx, stage.Payload{Version: "1.0.0"})
	require.NoError(t, err)
	require.NoError(t, s.StartController(ctx, v1))
	n, err := s.AddNode(ctx, "worker-0")
	require.NoError(t, err)
	early, c3 := context.WithTimeout(ctx, 45*time.Second)
	defer c3()
	require.NoError(t, n.AwaitAgent(early))
	require.NoError(t, s.Select(ctx, "worker-0"))
	require.NoError(t, s.ApplySample(ctx))
	short, cancel2 := context.WithTimeout(ctx, 90*time.Second)
	defer cancel2()
	_, err = s.AwaitConfig(short, "is completed", stage.Completed(1))
	require.NoError(t, err)
	require.NoError(t, s.RunPod(ctx, "p1", "worker-0"))
	_, err = s.AwaitPod(short, "p1", "runs", stage.Running)
	require.NoError(t, err)
	starts, err := n.CRIOStarts(ctx)
	require.NoError(t, err)
	require.Equal(t, 2, starts)
	require.NoError(t, s.EndPod(ctx, "p1"))
	require.NoError(t, s.DeleteSample(ctx))
	require.NoError(t, s.AwaitGone(short))
}
