// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/kata-node/kata-node/api/v1"
)

// cluster is what the API server has.
type cluster struct {
	version int
	nodes   store[*corev1.Node]
	configs store[*v1.KataConfig]
	classes store[*nodev1.RuntimeClass]
	ledgers store[*corev1.ConfigMap]
}

func (c *cluster) next() string {
	c.version++
	return strconv.Itoa(c.version)
}

// uid is one that no other object has had.
func (c *cluster) uid() types.UID { return types.UID("uid-" + c.next()) }

// store has the objects of one kind, and every change that there was: a watch shows the past.
type store[T metav1.Object] struct {
	now map[string]T
	log []change[T]
}

type change[T metav1.Object] struct {
	name   string
	object T
	gone   bool
}

func (s *store[T]) put(object T, version string) {
	object.SetResourceVersion(version)
	if s.now == nil {
		s.now = map[string]T{}
	}
	s.now[object.GetName()] = object
	s.log = append(s.log, change[T]{name: object.GetName(), object: object})
}

func (s *store[T]) remove(name string) {
	delete(s.now, name)
	s.log = append(s.log, change[T]{name: name, gone: true})
}

// current returns the object if it is still the one that was read.
func (s *store[T]) current(seen metav1.Object) (T, bool) {
	object, found := s.now[seen.GetName()]
	return object, found && object.GetUID() == seen.GetUID() && object.GetResourceVersion() == seen.GetResourceVersion()
}

// informer is a cache of a store as it was at some moment.
type informer[T metav1.Object] struct {
	of  *store[T]
	at  int
	has map[string]T
	// changed are the names of what has changed since a pass looked.
	changed map[string]bool
}

// follow takes in the changes up to the given one.
func (i *informer[T]) follow(to int) {
	if i.has == nil {
		i.has, i.changed = map[string]T{}, map[string]bool{}
	}
	for ; i.at < to; i.at++ {
		c := i.of.log[i.at]
		i.has[c.name], i.changed[c.name] = c.object, true
		if c.gone {
			delete(i.has, c.name)
		}
	}
}

// behind is how many changes it has not seen.
func (i *informer[T]) behind() int { return len(i.of.log) - i.at }

// list is in an order that does not depend on chance.
func (i *informer[T]) list() []T {
	objects := make([]T, 0, len(i.has))
	for _, name := range sorted(i.has) {
		objects = append(objects, i.has[name])
	}
	return objects
}

func sorted[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
