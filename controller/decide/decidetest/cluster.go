// SPDX-License-Identifier: Apache-2.0

// Package decidetest is what simulations of the controller have in common: the course of a life,
// what must never happen in it, an API server that is a value and keeps every change that there
// was, and instances of the controller whose caches may be behind. A simulation adds its nodes with
// their agents, and accidents.
package decidetest

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// Cluster is what the API server has.
type Cluster struct {
	Nodes   Store[*corev1.Node]
	Configs Store[*v1.KataConfig]
	Classes Store[*nodev1.RuntimeClass]
	Ledgers Store[*corev1.ConfigMap]

	version int
	// read are the facts of Nodes, which are not changed, but replaced.
	read map[*corev1.Node]*facts.Node
}

// facts are those that a cache has of a Node.
func (c *Cluster) facts(n *corev1.Node) *facts.Node {
	if c.read == nil {
		c.read = map[*corev1.Node]*facts.Node{}
	}
	if c.read[n] == nil {
		c.read[n] = factstest.Cached(n)[0]
	}
	return c.read[n]
}

// Next is the next resource version.
func (c *Cluster) Next() string {
	c.version++
	return strconv.Itoa(c.version)
}

// UID is one that no other object has had.
func (c *Cluster) UID() types.UID { return types.UID("uid-" + c.Next()) }

// Store has the objects of one kind, and every change that there was: a watch shows the past.
type Store[T metav1.Object] struct {
	// Now has the present objects by name. They are not changed, but replaced.
	Now map[string]T

	log []entry[T]
}

type entry[T metav1.Object] struct {
	name    string
	object  T
	deleted bool
}

// Put stores an object as a new version.
func (s *Store[T]) Put(object T, version string) {
	object.SetResourceVersion(version)
	if s.Now == nil {
		s.Now = map[string]T{}
	}
	s.Now[object.GetName()] = object
	s.log = append(s.log, entry[T]{name: object.GetName(), object: object})
}

// Remove deletes an object.
func (s *Store[T]) Remove(name string) {
	delete(s.Now, name)
	s.log = append(s.log, entry[T]{name: name, deleted: true})
}

// Current returns the object of that name, and whether it is still the one that was read.
func (s *Store[T]) Current(read metav1.Object) (T, bool) {
	object, found := s.Now[read.GetName()]
	return object, found && object.GetUID() == read.GetUID() && object.GetResourceVersion() == read.GetResourceVersion()
}

// Informer is a cache of a store as it was at some moment.
type Informer[T metav1.Object] struct {
	// Has are the cached objects by name.
	Has map[string]T

	of *Store[T]
	at int
	// changed are the names of what has changed since a pass looked.
	changed map[string]bool
}

// Watch returns an informer that has seen nothing.
func Watch[T metav1.Object](of *Store[T]) Informer[T] {
	return Informer[T]{of: of, Has: map[string]T{}, changed: map[string]bool{}}
}

// Behind is how many changes it has not seen.
func (i *Informer[T]) Behind() int { return len(i.of.log) - i.at }

// Follow takes in so many of the changes that it has not seen, oldest first.
func (i *Informer[T]) Follow(changes int) {
	for _, e := range i.of.log[i.at : i.at+changes] {
		i.Has[e.name], i.changed[e.name] = e.object, true
		if e.deleted {
			delete(i.Has, e.name)
		}
	}
	i.at += changes
}

// Relist is what an informer does whose watch has ended with 410: it reports every object as
// changed, and never sees what was in between.
func (i *Informer[T]) Relist() {
	for _, names := range [][]string{Names(i.Has), Names(i.of.Now)} {
		for _, name := range names {
			i.changed[name] = true
		}
	}
	i.at, i.Has = len(i.of.log), maps.Clone(i.of.Now)
	if i.Has == nil {
		i.Has = map[string]T{}
	}
}

// List is in an order that does not depend on chance.
func (i *Informer[T]) List() []T {
	objects := make([]T, 0, len(i.Has))
	for _, name := range Names(i.Has) {
		objects = append(objects, i.Has[name])
	}
	return objects
}

// Names are the keys of a map, sorted.
func Names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
