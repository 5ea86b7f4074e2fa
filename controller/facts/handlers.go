// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// Lacking are the further handlers of the intent that the agent does not report as proved, as one
// that is older than this controller does not.
func (n Node) Lacking() []string {
	return n.wanted(func(name string) bool { return n.Report == nil || !slices.Contains(n.Report.Handlers, name) })
}

// Unlisted are the further handlers of the intent that the kubelet does not list.
func (n Node) Unlisted() []string {
	return n.wanted(func(name string) bool { return !n.lists(node.FurtherHandler(name)) })
}

// Unlabelled are the further handlers of the intent whose label the node does not carry.
func (n Node) Unlabelled() []string {
	return n.wanted(func(name string) bool { return n.Labels.Get(node.FurtherLabel(name)) == "" })
}

func (n Node) wanted(is func(name string) bool) []string {
	var names []string
	if n.Intent == nil {
		return nil
	}
	for _, name := range n.Intent.Handlers {
		if is(name) {
			names = append(names, name)
		}
	}
	return names
}

// FurtherLabels are the labels of further handlers that the node carries.
func (n Node) FurtherLabels() []string {
	var labels []string
	for _, name := range node.FurtherHandlers() {
		if n.Labels.Has(node.FurtherLabel(name)) {
			labels = append(labels, node.FurtherLabel(name))
		}
	}
	return labels
}
