// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestAProofRunsAContainerOfTheSandboxesOwnImage(t *testing.T) {
	t.Parallel()
	f := &fake{}
	_, err := dial(t, f).Prove(t.Context(), "kata-oc-proof", "proof-v1")
	require.NoError(t, err)
	assert.Equal(t, []string{"run kata-oc-proof", "status proof", "create proof", "start container", "state container"}, f.asked)
	config := f.created.GetConfig()
	assert.Equal(t, "registry.k8s.io/pause:3.10", config.GetImage().GetImage())
	assert.Equal(t, "registry.k8s.io/pause:3.10", config.GetImage().GetUserSpecifiedImage(), "CRI-O compares it with the signature policy")
	assert.Equal(t, []string{"/pause"}, config.GetCommand())
	assert.Equal(t, []string{"-v"}, config.GetArgs())
	assert.Equal(t, "proof-v1", config.GetLabels()["io.kubernetes.pod.uid"], "the kubelet finds its sandbox")
	assert.Equal(t, f.ran.GetConfig().GetLogDirectory(), f.created.GetSandboxConfig().GetLogDirectory())
}

func TestAContainerThatDoesNotRunToItsEndFailsTheProof(t *testing.T) {
	t.Parallel()
	ended := func(code int32, reason string) *cri.ContainerStatus {
		return &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_EXITED, ExitCode: code, Reason: reason}
	}
	refuse := func(call, words string) map[string]error {
		return map[string]error{call: status.Error(codes.Unknown, words)}
	}
	const began = "a sandbox of handler kata-oc-proof started, but running a container in it failed: "
	for name, c := range map[string]struct {
		fake *fake
		says string
	}{
		"no image to be seen":    {&fake{verbose: "{}"}, "asking for the image of the sandbox: its verbose status has no image or no program"},
		"no sandbox to be seen":  {&fake{refuse: refuse("status", "broken")}, "asking for the image of the sandbox: broken"},
		"a root it cannot see":   {&fake{refuse: refuse("create", "CreateContainer failed: the file pause was not found")}, "creating it: CreateContainer failed: the file pause was not found"},
		"a start that fails":     {&fake{refuse: refuse("start", "no such process")}, "starting it: no such process"},
		"a state that is hidden": {&fake{refuse: refuse("state", "broken")}, "asking whether it runs: broken"},
		"another end":            {&fake{container: ended(127, "Error")}, "it ended with exit code 127 (Error)"},
		"a kill":                 {&fake{container: ended(137, "OOMKilled")}, "it ended with exit code 137 (OOMKilled)"},
		"a failed start, then the kubelet": {
			&fake{refuse: refuse("start", "failed to start container x: no such process"), kubelet: true}, "starting it: failed to start container x: no such process",
		},
		"an end, then the kubelet": {
			&fake{container: ended(1, "Error"), kubelet: true}, "it ended with exit code 1 (Error)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dial(t, c.fake)
			client.RunsFor(300 * time.Millisecond)
			id, err := client.Prove(t.Context(), "kata-oc-proof", "p")
			require.EqualError(t, err, began+c.says)
			assert.Equal(t, "proof", id, "it is there to be removed")
		})
	}
}

func TestAContainerThatGoesOnIsKilledAndCounts(t *testing.T) {
	t.Parallel()
	f := &fake{container: &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_RUNNING}}
	client := dial(t, f)
	client.RunsFor(time.Millisecond)
	_, err := client.Prove(t.Context(), "kata-oc-proof", "p")
	require.NoError(t, err)
	assert.Equal(t, 1, f.counts("kill"))
}

func TestAKubeletStopsNoProofBetweenCreationAndEndOfItsContainer(t *testing.T) {
	t.Parallel()
	f := &fake{}
	_, err := dial(t, f).Prove(t.Context(), "kata-oc-proof", "p")
	require.NoError(t, err, "there was a second request, and it was there until the end")
	<-f.givenUp
}

func TestAKubeletMayStopAProofOnceItsContainerIsCreated(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fake{
		"before its start":  {refuse: map[string]error{"start": status.Error(codes.Unknown, "container is not in created state: stopped")}},
		"after its start":   {refuse: map[string]error{"state": status.Error(codes.NotFound, "could not find container")}},
		"while it has a go": {container: &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_EXITED, ExitCode: 143}},
	} {
		f.kubelet = true
		_, err := dial(t, f).Prove(t.Context(), "kata-oc-proof", "p")
		require.NoError(t, err, name)
	}
}

// What the kubelet does in between says nothing of the payload.
func TestAKubeletThatStopsAProofBeforeItsContainerIsCreatedLetsItBeTriedAgain(t *testing.T) {
	t.Parallel()
	id, err := dial(t, &fake{early: true}).Prove(t.Context(), "kata-oc-proof", "p")
	require.ErrorAs(t, err, new(*host.Strained))
	require.ErrorContains(t, err, "creating it: CreateContainer failed as the sandbox was stopped: proof")
	assert.Equal(t, "proof", id, "it is there to be removed")
	_, err = dial(t, &fake{refuse: map[string]error{"create": status.Error(codes.Unknown, "no such layer")}}).Prove(t.Context(), "kata-oc-proof", "p")
	require.Error(t, err)
	require.NotErrorAs(t, err, new(*host.Strained), "its sandbox is still there")
}

func TestACRIOThatHangsEndsTheProof(t *testing.T) {
	t.Parallel()
	f := &fake{createHangs: true}
	client := dial(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	id, err := client.Prove(ctx, "kata-oc-proof", "p")
	require.ErrorContains(t, err, "creating it: CRI-O does not answer in time")
	assert.NotEmpty(t, id)
	assert.NotErrorAs(t, err, new(*host.UnknownHandler))
}
