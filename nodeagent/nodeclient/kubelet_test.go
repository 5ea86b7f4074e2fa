// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
)

// confirmed is the status that a kubelet writes.
func confirmed(at time.Time, devices string) corev1.NodeStatus {
	return corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(at)}},
		Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("4"), "hugepages-2Mi": resource.MustParse("1Gi"), "attachable-volumes-x": resource.MustParse("3"),
			"batch.kubernetes.io/cpu": resource.MustParse("3"), "example.com/device": resource.MustParse(devices), "example.com/none": resource.MustParse("0"),
		},
	}
}

func TestWhatTheKubeletSaysIsNewsWhileTheNodeIsInstalled(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	document, err := node.Report{Version: node.Version, Speaks: []int{1}, BootID: "b", Architecture: "amd64", Phase: node.PhaseInstalling}.Encode()
	require.NoError(t, err)
	n := annotated(node.ReportAnnotation, document)
	n.Status = confirmed(at, "2")
	a := newAPI(t, n)
	c := a.connect()
	says := func() cluster.Kubelet {
		k := c.State().Kubelet
		k.Heartbeat = k.Heartbeat.UTC()
		return k
	}
	assert.Equal(t, cluster.Kubelet{Ready: true, Heartbeat: at.UTC(), Resources: map[string]int64{"example.com/device": 2}}, says())

	a.change(func(n *corev1.Node) { n.Status = confirmed(at.Add(time.Second), "0") })
	a.await(c, func() bool { return says().Heartbeat.Equal(at.Add(time.Second)) })
	assert.Nil(t, says().Resources)
}
