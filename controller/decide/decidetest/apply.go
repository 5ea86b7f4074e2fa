// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/rollout"
)

// Apply makes a change on a Node, as the patch of package apply does.
func Apply(n *corev1.Node, c rollout.Change) error {
	switch {
	case c.ClearIntent:
		delete(n.Annotations, node.IntentAnnotation)
	case c.Intent != nil:
		document, err := c.Intent.Encode()
		if err != nil {
			return err
		}
		n.Annotations[node.IntentAnnotation] = document
	}
	if c.Untaint {
		n.Spec.Taints = c.Node.Taints
	}
	switch c.Label {
	case rollout.LabelSet:
		n.Labels[node.ReadyLabel] = node.ReadyValue
	case rollout.LabelCleared:
		delete(n.Labels, node.ReadyLabel)
		for _, label := range c.Node.FurtherLabels() {
			delete(n.Labels, label)
		}
	case rollout.LabelKept:
	}
	for _, name := range c.Further {
		n.Labels[node.FurtherLabel(name)] = node.ReadyValue
	}
	return nil
}
