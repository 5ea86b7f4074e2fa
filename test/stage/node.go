// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed"
)

// Node is a node with the agent's package.
type Node struct {
	*bed.Node

	stage *Stage
}

// Object returns the Node object.
func (n *Node) Object(ctx context.Context) (*corev1.Node, error) {
	return n.stage.Kube.CoreV1().Nodes().Get(ctx, n.Name(), metav1.GetOptions{})
}

// Report returns what the agent last reported.
func (n *Node) Report(ctx context.Context) (node.Report, error) {
	object, err := n.Object(ctx)
	if err != nil {
		return node.Report{}, err
	}
	return node.DecodeReport(object.Annotations[node.ReportAnnotation])
}

// AwaitReport waits until the Node's report is as wanted.
func (n *Node) AwaitReport(ctx context.Context, what string, wanted func(node.Report) bool) (node.Report, error) {
	var last node.Report
	_, err := n.stage.AwaitNode(ctx, n.Name(), what, func(o *corev1.Node) bool {
		r, err := node.DecodeReport(o.Annotations[node.ReportAnnotation])
		last = r
		return err == nil && wanted(r)
	})
	return last, err
}

// AwaitAgent waits until the agent has reported at all, and the Node is ready.
func (n *Node) AwaitAgent(ctx context.Context) error {
	_, err := n.stage.AwaitNode(ctx, n.Name(), "is ready and has an agent", func(o *corev1.Node) bool {
		return bed.NodeReady(o) && o.Annotations[node.ReportAnnotation] != ""
	})
	return err
}

// CRIOStarts counts how often CRI-O has been started, over all boots. A restart ends in a start job, too.
func (n *Node) CRIOStarts(ctx context.Context) (int, error) {
	log, err := n.Exec(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "UNIT=crio.service", "JOB_TYPE=start", "JOB_RESULT=done")
	return strings.Count(string(log), "\n"), err
}

// Executable returns what a process of the node runs, as the kernel names it.
func (n *Node) Executable(ctx context.Context, pid int) (string, error) {
	link, err := n.Exec(ctx, "readlink", "/proc/"+strconv.Itoa(pid)+"/exe")
	return strings.TrimSpace(string(link)), err
}

// Shims returns the process ids of the shims that run from any payload.
func (n *Node) Shims(ctx context.Context) ([]int, error) {
	out, err := n.Exec(ctx, "sh", "-c", `for p in /proc/[0-9]*; do case "$(readlink $p/exe)" in /run/kata-agent/slots/*) basename $p;; esac; done`)
	if err != nil {
		return nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("reading process ids of %q: %w", n.Name(), err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// PayloadMounts returns the mount points of payloads.
func (n *Node) PayloadMounts(ctx context.Context) ([]string, error) {
	mounts, err := n.Mounts(ctx)
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range mounts {
		if strings.HasPrefix(m.Mountpoint, "/run/kata-agent/") {
			points = append(points, m.Mountpoint)
		}
	}
	return points, nil
}

// Current returns what the link current names.
func (n *Node) Current(ctx context.Context) (string, error) {
	out, err := n.Exec(ctx, "readlink", "/run/kata-agent/current")
	return strings.TrimSpace(string(out)), err
}
