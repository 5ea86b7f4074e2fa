// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/crio"
)

const (
	ready    = cri.PodSandboxState_SANDBOX_READY
	notReady = cri.PodSandboxState_SANDBOX_NOTREADY
)

func TestOnlySandboxesOfTheHandlersAreListed(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.add("a", "kata-oc", ready)
	f.add("b", "", ready)
	f.add("c", "kata-oc-proof", notReady)
	f.add("d", "kata", ready)
	got, err := dial(t, f).List(t.Context(), "kata-oc", "kata-oc-proof")
	require.NoError(t, err)
	assert.Equal(t, []host.Sandbox{
		{ID: "a", Handler: "kata-oc", Namespace: "ns", Name: "pod-a", Ready: true}, {ID: "c", Handler: "kata-oc-proof", Namespace: "ns", Name: "pod-c"},
	}, got)
}

func TestARuntimeWhoseListsKnowHandlersIsBelieved(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.add("a", "", ready)
	f.sandboxes[0].RuntimeHandler = "kata-oc"
	got, err := dial(t, f).List(t.Context(), "kata-oc")
	require.NoError(t, err)
	assert.Len(t, got, 1)
	assert.Zero(t, f.counts("status"))
}

func TestAHandlerIsAskedForOncePerSandbox(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.add("a", "kata-oc", ready)
	f.add("b", "", ready)
	client := dial(t, f)
	for range 3 {
		_, err := client.List(t.Context(), "kata-oc")
		require.NoError(t, err)
	}
	assert.Equal(t, 2, f.counts("status"))
	kept := f.sandboxes
	f.sandboxes = nil
	_, err := client.List(t.Context(), "kata-oc")
	require.NoError(t, err)
	f.sandboxes = kept
	_, err = client.List(t.Context(), "kata-oc")
	require.NoError(t, err)
	assert.Equal(t, 4, f.counts("status"), "and forgotten with the sandbox")
}

func TestASandboxThatGoesWhileItIsListedIsLeftOut(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.add("a", "kata-oc", ready)
	f.add("b", "kata-oc", ready)
	delete(f.handlers, "a")
	got, err := dial(t, f).List(t.Context(), "kata-oc")
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, "b", got[0].ID)
}

func TestAListThatCannotBeHadIsAnError(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fake{
		"no list": {refuse: map[string]error{"list": status.Error(codes.Unavailable, "starting")}},
	} {
		f.add("a", "kata-oc", ready)
		_, err := dial(t, f).List(t.Context(), "kata-oc")
		require.ErrorContains(t, err, "listing sandboxes: ", name)
	}
	absent, err := crio.Dial(filepath.Join(t.TempDir(), "crio.sock"))
	require.NoError(t, err, "CRI-O may come later")
	_, err = absent.List(t.Context(), "kata-oc")
	require.ErrorContains(t, err, "listing sandboxes: ")
	require.NoError(t, absent.Close())
}

func TestAListThatHangsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	client := dial(t, &fake{hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.List(ctx)
	assert.Equal(t, codes.Canceled, status.Code(err))
}

func TestTheProofIsASandboxOnTheHostsNetwork(t *testing.T) {
	t.Parallel()
	f := &fake{}
	id, err := dial(t, f).Prove(t.Context(), "kata-oc-proof", "proof-v1")
	require.NoError(t, err)
	assert.Equal(t, "proof", id)
	assert.Equal(t, "kata-oc-proof", f.ran.GetRuntimeHandler())
	config := f.ran.GetConfig()
	assert.Equal(t, cri.NamespaceMode_NODE, config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork())
	assert.Equal(t, "proof-v1", config.GetMetadata().GetName())
	assert.Equal(t, crio.Namespace, config.GetMetadata().GetNamespace())
	assert.NotEmpty(t, config.GetMetadata().GetUid())
	assert.Equal(t, host.ProofLogs+"/proof-v1", config.GetLogDirectory(), "of a directory of its own CRI-O never lets go")
}

func TestAHandlerThatTheRuntimeWasStartedWithoutIsTold(t *testing.T) {
	t.Parallel()
	f := &fake{refuse: map[string]error{"run": status.Error(codes.Unknown, "failed to find runtime handler kata-oc-proof from runtime list map[crun:0xc0]")}}
	_, err := dial(t, f).Prove(t.Context(), "kata-oc-proof", "p")
	var unknown *host.UnknownHandler
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "kata-oc-proof", unknown.Handler)
	require.ErrorContains(t, err, "starting a sandbox of handler kata-oc-proof: failed to find runtime handler")

	f.refuse["run"] = status.Error(codes.Unknown, "the shim exited: failed to find runtime handler kata-oc-proof from runtime list map[]")
	_, err = dial(t, f).Prove(t.Context(), "kata-oc-proof", "p")
	require.NotErrorAs(t, err, &unknown, "a payload's own words cost no restart")

	f.refuse["run"] = status.Error(codes.Unknown, "the shim exited: exit status 1: no /dev/kvm")
	_, err = dial(t, f).Prove(t.Context(), "kata-oc-proof", "p")
	assert.NotErrorAs(t, err, &unknown)
	assert.ErrorContains(t, err, "no /dev/kvm", "what the runtime said reaches the report")
}

func TestRemoveStopsFirst(t *testing.T) {
	t.Parallel()
	f := &fake{}
	require.NoError(t, dial(t, f).Remove(t.Context(), "a"))
	assert.Equal(t, []string{"stop a", "remove a"}, f.asked)
}

func TestAStopHasAShortDeadlineAndIsTriedTwice(t *testing.T) {
	t.Parallel()
	for slow, asked := range [][]string{
		{"stop a", "remove a"},
		{"stop a", "stop a", "remove a"},
		{"stop a", "stop a"},
	} {
		f := &fake{slowStops: slow}
		err := dial(t, f).Remove(t.Context(), "a")
		assert.Equal(t, slow == 2, err != nil, "%v", err)
		assert.Equal(t, asked, f.asked)
		for _, left := range f.deadlines {
			assert.LessOrEqual(t, left, 10*time.Second, "CRI-O waits for its end before it kills")
		}
	}
}

func TestRemovingWhatIsGoneIsNoError(t *testing.T) {
	t.Parallel()
	gone, broken := status.Error(codes.NotFound, "no such sandbox"), status.Error(codes.DeadlineExceeded, "stuck")
	for name, c := range map[string]struct {
		refuse map[string]error
		says   string
	}{
		"gone before": {map[string]error{"stop": gone, "remove": gone}, ""},
		"gone while":  {map[string]error{"remove": gone}, ""},
		"stuck stop":  {map[string]error{"stop": broken}, "stopping sandbox a: "},
		"stuck":       {map[string]error{"remove": broken}, "removing sandbox a: "},
	} {
		err := dial(t, &fake{refuse: c.refuse}).Remove(t.Context(), "a")
		if c.says == "" {
			require.NoError(t, err, name)
			continue
		}
		assert.ErrorContains(t, err, c.says, name)
	}
}

func TestASandboxWhoseStatusFailsSpoilsNoOther(t *testing.T) {
	t.Parallel()
	f := &fake{broken: map[string]error{"b": status.Error(codes.Unknown, "no such container")}}
	f.add("a", "kata-oc", ready)
	f.add("b", "kata-oc", ready)
	got, err := dial(t, f).List(t.Context(), "kata-oc")
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, "kata-oc", got[0].Handler)
	assert.Empty(t, got[1].Handler)
	assert.Equal(t, "no such container", got[1].Unknown)
}

func TestAListOfANodeFullOfAnnotationsIsRead(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.add("a", "kata-oc", ready)
	f.sandboxes[0].Annotations = map[string]string{"a": strings.Repeat("x", 8<<20)}
	got, err := dial(t, f).List(t.Context(), "kata-oc")
	require.NoError(t, err)
	assert.Len(t, got, 1)
}

func TestTheShimOfAHandlerIsThatOfTheRunningCRIO(t *testing.T) {
	t.Parallel()
	f := &fake{}
	c := dial(t, f)
	shim, err := c.Shim(t.Context(), "kata-oc")
	require.NoError(t, err)
	assert.Empty(t, shim, "a CRI-O that does not show its configuration")

	f.config = `{"sandboxImage":"x","crio":{"DefaultRuntime":"crun","Runtimes":{"kata-oc":{"RuntimePath":"/usr/bin/runc","RuntimeType":"oci"}}}}`
	shim, err = c.Shim(t.Context(), "kata-oc")
	require.NoError(t, err)
	assert.Equal(t, "/usr/bin/runc", shim)

	f.config = "{"
	_, err = c.Shim(t.Context(), "kata-oc")
	require.ErrorContains(t, err, "reading CRI-O's configuration")
}
