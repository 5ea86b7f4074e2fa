// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestASandboxThatCRIOKeepsForItsCallerIsAskedForAndRemoved(t *testing.T) {
	t.Parallel()
	f := &fake{}
	require.NoError(t, dial(t, f).Reclaim(t.Context(), "proof-v1"))
	assert.Equal(t, []string{"run kata-agent-reclaims", "stop proof", "remove proof"}, f.asked)
	meta := f.ran.GetConfig().GetMetadata()
	assert.Equal(t, []string{"proof-v1", "kata-agent", "proof-v1"}, []string{meta.GetName(), meta.GetNamespace(), meta.GetUid()}, "CRI-O knows a sandbox by these")
}

func TestNothingIsStartedWhereCRIOKeepsNoSandbox(t *testing.T) {
	t.Parallel()
	f := &fake{refuse: map[string]error{"run": status.Error(codes.Unknown, "failed to find runtime handler kata-agent-reclaims from runtime list map[crun kata-oc]")}}
	require.NoError(t, dial(t, f).Reclaim(t.Context(), "proof-v1"))
	assert.Equal(t, []string{"run kata-agent-reclaims"}, f.asked)
}

func TestASandboxThatCRIOStillStartsIsReclaimedLater(t *testing.T) {
	t.Parallel()
	f := &fake{refuse: map[string]error{"run": status.Error(codes.DeadlineExceeded, "context deadline exceeded")}}
	require.EqualError(t, dial(t, f).Reclaim(t.Context(), "proof-v1"), "reclaiming sandbox proof-v1: CRI-O does not answer in time")
}
