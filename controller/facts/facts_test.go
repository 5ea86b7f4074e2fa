// SPDX-License-Identifier: Apache-2.0

package facts_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// whole is a Node with something in every field that matters, and much that does not.
func whole(t *testing.T) *corev1.Node {
	t.Helper()
	intent, err := node.Intent{State: node.StateInstalled, Payload: factstest.PayloadA}.Identify("uid").Encode()
	require.NoError(t, err)
	report, err := node.Report{Version: 1, BootID: "b", Phase: node.PhaseIdle}.Encode()
	require.NoError(t, err)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "w", UID: "uid", ResourceVersion: "7", Labels: map[string]string{"a": "b", node.ReadyLabel: "true"},
			Annotations:   map[string]string{node.IntentAnnotation: intent, node.ReportAnnotation: report, "other": "text"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		},
		Spec: corev1.NodeSpec{
			Unschedulable: true, ProviderID: "x", Taints: []corev1.Taint{
				{Key: "node.kubernetes.io/unschedulable", Effect: corev1.TaintEffectNoSchedule}, {Key: "virtual-kubelet.io/provider", Value: "azure", Effect: corev1.TaintEffectNoSchedule},
			},
		},
		Status: corev1.NodeStatus{
			NodeInfo:        corev1.NodeSystemInfo{BootID: "boot", OperatingSystem: "linux", KernelVersion: "6"},
			Conditions:      []corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeReady, Status: corev1.ConditionTrue, Message: "long"}},
			RuntimeHandlers: []corev1.NodeRuntimeHandler{{Name: ""}, {Name: node.Handler}},
			Images:          []corev1.ContainerImage{{Names: []string{"large"}}},
		},
	}
}

func TestEveryFactIsRead(t *testing.T) {
	t.Parallel()
	n := facts.OfNode(whole(t))
	assert.True(t, n.Ready)
	assert.True(t, n.Cordoned)
	assert.True(t, n.Linux)
	assert.True(t, n.Virtual)
	assert.False(t, facts.OfNode(&corev1.Node{}).Virtual)
	assert.True(t, n.HasIntent)
	assert.True(t, n.Labelled())
	assert.Equal(t, "boot", n.BootID)
	assert.Equal(t, []string{node.Handler}, n.Handlers)
	assert.Equal(t, factstest.PayloadA, n.Intent.Payload)
	assert.Equal(t, node.PhaseIdle, n.Report.Phase)
}

func TestTheTaintsOfANodeAreKeptWhileItHasTheStartUpTaint(t *testing.T) {
	t.Parallel()
	other := corev1.Taint{Key: "a", Value: "b", Effect: corev1.TaintEffectNoSchedule, TimeAdded: &metav1.Time{Time: factstest.Noon()}}
	n := &corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{
		{Key: node.StartupTaint, Effect: corev1.TaintEffectNoSchedule}, other, {Key: node.StartupTaint, Effect: corev1.TaintEffectNoExecute},
	}}}
	read := facts.OfNode(n)
	assert.True(t, read.Starting)
	assert.Equal(t, []corev1.Taint{other}, read.Taints)
	assert.Len(t, n.Spec.Taints, 3, "the object stays as it is")
	n.Spec.Taints = []corev1.Taint{other}
	read = facts.OfNode(n)
	assert.False(t, read.Starting)
	assert.Empty(t, read.Taints)
}

func TestWhatCannotBeReadIsAFactToo(t *testing.T) {
	t.Parallel()
	n := facts.OfNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{node.IntentAnnotation: "{", node.ReportAnnotation: "{"}}})
	assert.True(t, n.HasIntent)
	assert.Nil(t, n.Intent)
	assert.Nil(t, n.Report)
	assert.Contains(t, n.ReportProblem, "reading report")
	assert.False(t, n.Ready)
}

func TestBootIDsAreComparedWhateverTheirSpelling(t *testing.T) {
	t.Parallel()
	const dashed, plain = "0A1B2C3D-0000-4000-8000-000000000001", "0a1b2c3d000040008000000000000001"
	for _, x := range []struct {
		kubelet, agent string
		same           bool
	}{{dashed, plain, true}, {plain, dashed, true}, {"", plain, true}, {dashed, "other", false}} {
		n := facts.Node{BootID: x.kubelet, Report: &node.Report{BootID: x.agent}}
		assert.Equal(t, x.same, n.SameBoot(), "%+v", x)
	}
}

func TestLinuxIsAssumedWhereNothingIsSaid(t *testing.T) {
	t.Parallel()
	labelled := func(os string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelOSStable: os}}}
	}
	assert.True(t, facts.OfNode(&corev1.Node{}).Linux)
	assert.True(t, facts.OfNode(labelled("linux")).Linux)
	assert.False(t, facts.OfNode(labelled("windows")).Linux)
	assert.False(t, facts.OfNode(&corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "windows"}}}).Linux)
}

func TestAKataConfigIsReadWithItsDefaults(t *testing.T) {
	t.Parallel()
	kc := &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "u", Generation: 3, Finalizers: []string{facts.Finalizer}, CreationTimestamp: metav1.NewTime(factstest.Noon())}}
	c := facts.OfConfig(kc, facts.Defaults{Payload: factstest.PayloadA})
	assert.Nil(t, c.Refused)
	assert.True(t, c.Accepted)
	assert.False(t, c.Deleting)
	assert.Equal(t, factstest.PayloadA, c.Payload)
	assert.Equal(t, node.HostPackagesAuto, c.HostPackages)
	assert.Equal(t, 10, c.MaxParallel)
	assert.Equal(t, "10%", c.MaxUnavailable.String())
	assert.True(t, c.Selector.Empty())
	assert.Equal(t, factstest.Noon(), c.Created.UTC())

	kc.Spec.Config.PayloadImage = factstest.PayloadB
	kc.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	c = facts.OfConfig(kc, facts.Defaults{Payload: factstest.PayloadA})
	assert.Equal(t, factstest.PayloadB, c.Payload)
	assert.True(t, c.Deleting)
}

func TestAKataConfigThatIsNoGoodSaysWhy(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		change func(*v1.KataConfig)
		reason facts.Reason
		says   string
	}{
		"no payload": {func(*v1.KataConfig) {}, facts.ReasonNoPayload, "--default-payload"},
		"selector": {func(kc *v1.KataConfig) {
			kc.Spec.KataConfigPoolSelector = &v1.PoolSelector{MatchExpressions: []v1.Requirement{{Key: "a", Operator: "Equals"}}}
		}, facts.ReasonInvalidSelector, "Equals"},
		"another product": {func(kc *v1.KataConfig) { kc.Finalizers = []string{"kataconfiguration.openshift.io/finalizer"} }, facts.ReasonForeignFinalizer, "kataconfiguration.openshift.io/finalizer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kc := &v1.KataConfig{}
			x.change(kc)
			c := facts.OfConfig(kc, facts.Defaults{})
			require.NotNil(t, c.Refused)
			assert.Equal(t, x.reason, c.Refused.Reason)
			assert.Contains(t, c.Refused.Message, x.says)
		})
	}
}
