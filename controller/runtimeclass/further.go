// SPDX-License-Identifier: Apache-2.0

package runtimeclass

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	nodev1 "k8s.io/api/node/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/selection"
)

// Further returns the classes of further handlers that are ours, or should be. Each is equal to
// kata-oc, which is given as it exists and as it is desired, but for its name, its handler and the
// handler's label, which it selects in addition. One that no KataConfig names any more selects no
// node. It is deleted with kata-oc and not before: the kubelet reads it for every sandbox that it
// creates.
func Further(others []*nodev1.RuntimeClass, existing, desired *nodev1.RuntimeClass, pools []selection.Pool) []Pair {
	if desired != nil && Foreign(existing) != nil {
		return nil
	}
	wanted := named(pools, existing != nil)
	var pairs []Pair
	for _, name := range node.FurtherHandlers() {
		class := find(others, node.FurtherHandler(name))
		switch {
		case Foreign(class) != nil, class == nil && (desired == nil || !slices.Contains(wanted, name)):
		case desired == nil:
			pairs = append(pairs, Pair{Existing: class})
		case slices.Contains(wanted, name):
			pairs = append(pairs, Pair{class, further(name, desired, both(desired.Scheduling.NodeSelector, name))})
		default:
			pairs = append(pairs, Pair{class, further(name, desired, withdrawn())})
		}
	}
	return pairs
}

// FurtherProblem names the classes of further handlers that another owner has made; it is empty for
// none.
func FurtherProblem(names []string, others []*nodev1.RuntimeClass) string {
	var problems []string
	for _, name := range names {
		if class := find(others, node.FurtherHandler(name)); Foreign(class) != nil {
			problems = append(problems, fmt.Sprintf("%s, or take %s out of spec.config.handlers", Foreign(class).Message, name))
		}
	}
	return strings.Join(problems, "; ")
}

// named are the further handlers that KataConfigs want. One that is about to be accepted counts
// where kata-oc exists already.
func named(pools []selection.Pool, exists bool) []string {
	var names []string
	for _, p := range pools {
		if !p.Config.Deleting && (p.Config.Accepted || exists && p.Config.Acceptable()) {
			names = append(names, p.Config.Handlers...)
		}
	}
	return names
}

func further(name string, of *nodev1.RuntimeClass, selector map[string]string) *nodev1.RuntimeClass {
	class := of.DeepCopy()
	class.Name, class.Handler = node.FurtherHandler(name), node.FurtherHandler(name)
	class.Scheduling.NodeSelector = selector
	return class
}

// both adds the handler's label to the selector of kata-oc.
func both(selector map[string]string, name string) map[string]string {
	selector = maps.Clone(selector)
	selector[node.FurtherLabel(name)] = node.ReadyValue
	return selector
}

// handlerOf returns the handler of our class of a name: aliases have that of kata-oc.
func handlerOf(class string) string {
	if slices.Contains(node.PodHandlers(), class) {
		return class
	}
	return node.Handler
}
