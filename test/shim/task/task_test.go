// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"context"
	"errors"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kata-node/kata-node/test/shim/task"
)

func admitAll(string, string) error { return nil }

func running(t *testing.T, id string) *task.Service {
	t.Helper()
	s := task.New(admitAll)
	_, err := s.Create(t.Context(), &taskapi.CreateTaskRequest{ID: id, Bundle: "/b", Stdout: "/fifo"})
	require.NoError(t, err)
	_, err = s.Start(t.Context(), &taskapi.StartRequest{ID: id})
	require.NoError(t, err)
	return s
}

func state(t *testing.T, s *task.Service, id string) *taskapi.StateResponse {
	t.Helper()
	response, err := s.State(t.Context(), &taskapi.StateRequest{ID: id})
	require.NoError(t, err)
	return response
}

func TestAContainerRunsUntilItIsKilled(t *testing.T) {
	t.Parallel()
	s := running(t, "a")
	assert.Equal(t, tasktypes.Status_RUNNING, state(t, s, "a").GetStatus())
	assert.Equal(t, "/fifo", state(t, s, "a").GetStdout(), "CRI-O takes its streams from here after a restart")
	_, err := s.Kill(t.Context(), &taskapi.KillRequest{ID: "a"})
	require.NoError(t, err, "signal 0 only asks")

	_, err = s.Kill(t.Context(), &taskapi.KillRequest{ID: "a", Signal: 9})
	require.NoError(t, err)
	waited, err := s.Wait(t.Context(), &taskapi.WaitRequest{ID: "a"})
	require.NoError(t, err)
	assert.EqualValues(t, 128+9, waited.GetExitStatus())
	assert.Equal(t, tasktypes.Status_STOPPED, state(t, s, "a").GetStatus())
	_, err = s.Kill(t.Context(), &taskapi.KillRequest{ID: "a"})
	require.ErrorContains(t, err, "already finished")
	_, err = s.Kill(t.Context(), &taskapi.KillRequest{ID: "a", Signal: 15})
	assert.NoError(t, err, "killing twice is fine")
}

func TestWaitEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := running(t, "a").Wait(ctx, &taskapi.WaitRequest{ID: "a"})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestTheShimEndsOnlyWithItsLastContainer(t *testing.T) {
	t.Parallel()
	s := running(t, "a")
	_, err := s.Shutdown(t.Context(), &taskapi.ShutdownRequest{ID: "a"})
	require.NoError(t, err)
	assert.False(t, ended(s))
	_, err = s.Delete(t.Context(), &taskapi.DeleteRequest{ID: "a"})
	require.NoError(t, err)
	for range 2 {
		_, err = s.Shutdown(t.Context(), &taskapi.ShutdownRequest{ID: "a"})
		require.NoError(t, err)
	}
	assert.True(t, ended(s))
	_, err = s.State(t.Context(), &taskapi.StateRequest{ID: "a"})
	assert.ErrorContains(t, err, "container a is not known")
}

func TestTheConfigurationComesWithTheOptions(t *testing.T) {
	t.Parallel()
	options := &runtimeoptions.Options{ConfigPath: "/etc/kata.toml"}
	value, err := proto.Marshal(options)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		options *anypb.Any
		want    string
		refused string
	}{
		"none":                {},
		"CRI-O's plain name":  {options: &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: value}, want: "/etc/kata.toml"},
		"with a prefix":       {options: &anypb.Any{TypeUrl: "types.googleapis.com/runtimeoptions.v1.Options", Value: value}, want: "/etc/kata.toml"},
		"of another type":     {options: &anypb.Any{TypeUrl: "x.Y"}, refused: `type "x.Y"`},
		"not to be decoded":   {options: &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: []byte{7}}, refused: "decoding create options"},
		"an empty message":    {options: &anypb.Any{TypeUrl: "runtimeoptions.v1.Options"}},
		"refused by the shim": {options: &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: value}, want: "/etc/kata.toml", refused: "not today"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			s := task.New(func(_, path string) error {
				got = path
				if tc.refused != "" {
					return errors.New(tc.refused)
				}
				return nil
			})
			_, err := s.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "a", Options: tc.options})
			if tc.refused != "" {
				require.ErrorContains(t, err, tc.refused)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func ended(s *task.Service) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}
