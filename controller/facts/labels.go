// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"iter"
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// Labels are those of a Node, which are not changed. Most Nodes of a cluster differ in one of them
// only, the name of the host, so all others are kept once for all of these Nodes, see Strings. A
// map of 27 labels takes 1.2 KB. Labels implements labels.Labels of apimachinery.
type Labels struct {
	// shared has all but the host's name; an empty one is in it.
	shared map[string]string
	host   string
}

// LabelsOf returns those of a map, which must not be changed any more.
func LabelsOf(set map[string]string) Labels {
	l := Labels{shared: set, host: set[corev1.LabelHostname]}
	if l.host != "" {
		l.shared = maps.Clone(set)
		delete(l.shared, corev1.LabelHostname)
	}
	if len(l.shared) == 0 {
		l.shared = nil
	}
	return l
}

// Lookup returns the value of a label, and whether the Node has it.
func (l Labels) Lookup(key string) (value string, found bool) {
	if key == corev1.LabelHostname && l.host != "" {
		return l.host, true
	}
	value, found = l.shared[key]
	return value, found
}

// Get returns the value of a label, empty where the Node does not have it.
func (l Labels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

// Has is true where the Node has the label, whatever its value.
func (l Labels) Has(key string) bool {
	_, found := l.Lookup(key)
	return found
}

// All returns every label, in no order.
func (l Labels) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		if l.host != "" && !yield(corev1.LabelHostname, l.host) {
			return
		}
		for key, value := range l.shared {
			if !yield(key, value) {
				return
			}
		}
	}
}
