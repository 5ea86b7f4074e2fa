// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	listers "k8s.io/client-go/listers/core/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/admit"
	"github.com/kata-node/kata-node/test/standin/kubelet/nodestatus"
	"github.com/kata-node/kata-node/test/standin/kubelet/podstatus"
)

// gate admits pods, one at a time, when this kubelet first sees them: after a restart all of them,
// running ones included.
type gate struct {
	Options
	nodes    listers.NodeLister
	newest   *corev1.Node
	rejected int
}

// judge returns nil for a pod that may run. A pod whose phase is final is not judged again.
func (g *gate) judge(ctx context.Context, pod *corev1.Pod) *admit.Rejection {
	if podstatus.Final(pod) {
		return nil
	}
	rejection := admit.Check(pod, g.cached())
	if rejection != nil && rejection.LabelsOnly {
		rejection = g.again(ctx, pod, rejection)
	}
	if rejection != nil {
		g.record(pod, rejection)
	}
	return rejection
}

// cached is the newest Node seen; without any, the kubelet judges by the labels it would register
// with.
func (g *gate) cached() *corev1.Node {
	listed, err := g.nodes.Get(g.Machine.Name)
	switch {
	case err == nil && (g.newest == nil || version(listed) >= version(g.newest)):
		g.newest = listed
	case g.newest == nil:
		return nodestatus.Initial(g.Machine, nodestatus.Runtime{}, time.Now())
	}
	return g.newest
}

// again asks the API server for the Node before labels alone turn a pod away; without an answer the
// first verdict stands.
func (g *gate) again(ctx context.Context, pod *corev1.Pod, first *admit.Rejection) *admit.Rejection {
	node, err := g.Client.CoreV1().Nodes().Get(ctx, g.Machine.Name, metav1.GetOptions{})
	if err != nil {
		g.Log.WithError(err).Warn("reading the node once more before rejecting a pod")
		return first
	}
	g.newest = node
	return admit.Check(pod, node)
}

func (g *gate) record(pod *corev1.Pod, why *admit.Rejection) {
	g.rejected++
	g.Log.WithField("pod", pod.Namespace+"/"+pod.Name).WithField("uid", pod.UID).WithField("rejections", g.rejected).
		Warnf("pod rejected: %s: %s", why.Reason, why.Message)
	g.Events.Event(pod, corev1.EventTypeWarning, why.Reason, why.Message)
	if err := appendRejection(g.Rejections, pod, why); err != nil {
		g.Log.WithError(err).Error("keeping count of rejections")
	}
}

// appendRejection writes one line to a file that lasts longer than a kubelet, so that a test can
// ask whether there ever was a rejection.
func appendRejection(path string, pod *corev1.Pod, why *admit.Rejection) error {
	if path == "" {
		return nil
	}
	line, err := json.Marshal(map[string]string{
		"pod": pod.Namespace + "/" + pod.Name, "uid": string(pod.UID), "phase": string(pod.Status.Phase), "reason": why.Reason, "message": why.Message,
	})
	if err != nil {
		return fmt.Errorf("encoding a rejection: %w", err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the path is the operator's choice
	if err != nil {
		return fmt.Errorf("opening the list of rejections: %w", err)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing to the list of rejections: %w", err)
	}
	return file.Close()
}

// version orders Nodes of one cluster; 0 stands for one that cannot be ordered.
func version(node *corev1.Node) int64 {
	n, err := strconv.ParseInt(node.ResourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
