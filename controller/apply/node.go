// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/rollout"
)

// nodePatch has room for what the controller writes on a Node and for what the decision was made
// from, and for nothing else. A list of taints is replaced as a whole; the version that the patch
// names is the one whose taints are in it.
type nodePatch struct {
	Metadata struct {
		UID             string             `json:"uid"`
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations,omitempty"`
		Labels          map[string]*string `json:"labels,omitempty"`
	} `json:"metadata"`
	Spec *struct {
		Taints []corev1.Taint `json:"taints"`
	} `json:"spec,omitempty"`
}

// Node makes one change and returns the Node after it.
func (w *Writer) Node(ctx context.Context, change rollout.Change) (*corev1.Node, error) {
	patch, err := encode(change)
	if err != nil {
		return nil, fmt.Errorf("writing node %q: %w", change.Node.Name, err)
	}
	updated, err := w.Kube.CoreV1().Nodes().Patch(ctx, change.Node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("writing node %q: %w", change.Node.Name, err)
	}
	if change.Event == "" {
		w.Log.WithField("node", change.Node.Name).Debugf("Pinged")
		return updated, nil
	}
	w.Events.OfNode(change.Node.Name, corev1.EventTypeNormal, change.Event, change.Message)
	w.Log.WithField("node", change.Node.Name).Infof("%s: %s", change.Event, change.Message)
	return updated, nil
}

func encode(change rollout.Change) ([]byte, error) {
	var p nodePatch
	p.Metadata.UID, p.Metadata.ResourceVersion = change.Node.UID, change.Node.ResourceVersion
	switch {
	case change.ClearIntent:
		p.Metadata.Annotations = map[string]*string{node.IntentAnnotation: nil}
	case change.Intent != nil:
		document, err := change.Intent.Encode()
		if err != nil {
			return nil, err
		}
		p.Metadata.Annotations = map[string]*string{node.IntentAnnotation: &document}
	}
	p.Metadata.Labels = labels(change)
	if change.Untaint {
		p.Spec = &struct {
			Taints []corev1.Taint `json:"taints"`
		}{change.Node.Taints}
	}
	return json.Marshal(p)
}

// labels are those that a change sets, and with nil those that it removes.
func labels(change rollout.Change) map[string]*string {
	ready, out := node.ReadyValue, map[string]*string{}
	switch change.Label {
	case rollout.LabelKept:
	case rollout.LabelSet:
		out[node.ReadyLabel] = &ready
	case rollout.LabelCleared:
		out[node.ReadyLabel] = nil
		for _, label := range change.Node.FurtherLabels() {
			out[label] = nil
		}
	}
	for _, name := range change.Further {
		out[node.FurtherLabel(name)] = &ready
	}
	return out
}
