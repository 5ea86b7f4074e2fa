// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/sandbox"
)

const (
	up   = cri.PodSandboxState_SANDBOX_READY
	down = cri.PodSandboxState_SANDBOX_NOTREADY
)

func one(id, uid string, attempt uint32, state cri.PodSandboxState) *cri.PodSandbox {
	return &cri.PodSandbox{Id: id, Metadata: &cri.PodSandboxMetadata{Uid: uid, Attempt: attempt}, State: state, CreatedAt: int64(attempt)}
}

func restarting(policy corev1.RestartPolicy) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy}}
}

func TestPlanForARunningPod(t *testing.T) {
	t.Parallel()
	served := one("b", "u", 1, up)
	for name, c := range map[string]struct {
		policy corev1.RestartPolicy
		own    []*cri.PodSandbox
		want   sandbox.Plan
	}{
		"no sandbox yet":           {corev1.RestartPolicyAlways, nil, sandbox.Plan{Create: true}},
		"one that is ready":        {corev1.RestartPolicyAlways, []*cri.PodSandbox{served}, sandbox.Plan{Keep: served}},
		"ready after a dead one":   {corev1.RestartPolicyAlways, []*cri.PodSandbox{one("a", "u", 0, down), served}, sandbox.Plan{Keep: served, Remove: []string{"a"}}},
		"dead":                     {corev1.RestartPolicyAlways, []*cri.PodSandbox{one("a", "u", 4, down)}, sandbox.Plan{Create: true, Attempt: 5, Stop: []string{"a"}, Remove: []string{"a"}}},
		"dead after a ready one":   {corev1.RestartPolicyAlways, []*cri.PodSandbox{one("a", "u", 0, up), one("c", "u", 2, down)}, sandbox.Plan{Create: true, Attempt: 3, Stop: []string{"c", "a"}, Remove: []string{"c", "a"}}},
		"two that are ready":       {corev1.RestartPolicyAlways, []*cri.PodSandbox{one("a", "u", 0, up), served}, sandbox.Plan{Create: true, Attempt: 2, Stop: []string{"b", "a"}, Remove: []string{"b", "a"}}},
		"dead, on failure":         {corev1.RestartPolicyOnFailure, []*cri.PodSandbox{one("a", "u", 0, down)}, sandbox.Plan{Create: true, Attempt: 1, Stop: []string{"a"}, Remove: []string{"a"}}},
		"dead, never to restart":   {corev1.RestartPolicyNever, []*cri.PodSandbox{one("a", "u", 0, down)}, sandbox.Plan{Over: true, Stop: []string{"a"}}},
		"never, not started yet":   {corev1.RestartPolicyNever, nil, sandbox.Plan{Create: true}},
		"never, and it is serving": {corev1.RestartPolicyNever, []*cri.PodSandbox{served}, sandbox.Plan{Keep: served}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, sandbox.ForRunning(restarting(c.policy), c.own))
		})
	}
}

func TestNothingOfAGonePodStays(t *testing.T) {
	t.Parallel()
	own := []*cri.PodSandbox{one("a", "u", 0, down), one("b", "u", 1, up)}
	assert.Equal(t, sandbox.Plan{Stop: []string{"b", "a"}, Remove: []string{"b", "a"}}, sandbox.ForGone(own))
}

func TestASandboxBelongsToThePodItsMetadataNames(t *testing.T) {
	t.Parallel()
	mine, nameless := one("a", "u", 0, up), &cri.PodSandbox{Id: "x", Labels: map[string]string{sandbox.PodUIDLabel: "u"}}
	assert.Equal(t, []*cri.PodSandbox{mine}, sandbox.OfPod([]*cri.PodSandbox{mine, one("b", "v", 0, up), nameless}, "u"))
}

func TestRelistNamesPodsWhoseSandboxesCameWentOrDied(t *testing.T) {
	t.Parallel()
	before := sandbox.Observe([]*cri.PodSandbox{one("a", "same", 0, up), one("b", "dies", 0, up), one("c", "goes", 0, up)})
	after := sandbox.Observe([]*cri.PodSandbox{one("a", "same", 0, up), one("b", "dies", 0, down), one("d", "comes", 0, up)})
	assert.Equal(t, []types.UID{"comes", "dies", "goes"}, sandbox.Changed(before, after))
	assert.Empty(t, sandbox.Changed(after, after))
}

func TestSandboxesThatNoPodStandsBehindAreUnknown(t *testing.T) {
	t.Parallel()
	proof := one("p", "proof", 0, up)
	proof.Labels = map[string]string{sandbox.PodNameLabel: "looks-honest"}
	picture := sandbox.Observe([]*cri.PodSandbox{one("a", "mine", 0, up), proof, {Id: "nameless"}})
	assert.Equal(t, []types.UID{"proof"}, picture.Unknown(func(uid types.UID) bool { return uid == "mine" }))
}

func TestConfigTellsTheRuntimeWhosePodItIs(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u", Labels: map[string]string{"app": "x", sandbox.PodUIDLabel: "a lie"}}}
	got := sandbox.Config(pod, 3)
	assert.Equal(t, &cri.PodSandboxMetadata{Name: "p", Namespace: "ns", Uid: "u", Attempt: 3}, got.GetMetadata())
	assert.Equal(t, map[string]string{"app": "x", sandbox.PodNameLabel: "p", sandbox.PodNamespaceLabel: "ns", sandbox.PodUIDLabel: "u"}, got.GetLabels())
	assert.Equal(t, "p", got.GetHostname())
	assert.Equal(t, cri.NamespaceMode_POD, got.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork())
}

func TestConfigHonoursHostNamespaces(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{HostNetwork: true, HostIPC: true, HostPID: true}}
	got := sandbox.Config(pod, 0)
	options := got.GetLinux().GetSecurityContext().GetNamespaceOptions()
	assert.Equal(t, cri.NamespaceMode_NODE, options.GetNetwork())
	assert.Equal(t, cri.NamespaceMode_NODE, options.GetIpc())
	assert.Equal(t, cri.NamespaceMode_NODE, options.GetPid())
	assert.Empty(t, got.GetHostname())
}
