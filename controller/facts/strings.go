// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GetObjectMeta is how an informer finds key and version of what its store has.
func (n *Node) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion}
}

// mostStrings bounds Strings. Beyond it, what was shared stays so, and sharing begins anew.
const mostStrings = 4096

// Strings lets Nodes share what most of them have in common: labels, versions, payloads. Its zero
// value is empty. It is safe for concurrent use.
type Strings struct {
	mu    sync.Mutex
	known map[string]string
	// labels are sets of them by hash, see Labels.
	labels map[uint64]map[string]string
	seed   maphash.Seed
	// handlers are lists of handlers, which few differ in.
	handlers [][]string
	// speaks are the versions that the agent of the Node before speaks.
	speaks []int
}

// Share makes the Node share what it can. Only its owner may call this.
func (s *Strings) Share(n *Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.Labels.shared = s.set(n.Labels.shared)
	same(&n.Labels.host, n.Name)
	n.Handlers = s.list(n.Handlers)
	s.each(&n.Runs.OpenShift, &n.Runs.Kubernetes, &n.Runs.Architecture)
	if i := n.Intent; i != nil {
		s.each(&i.Owner.Name, &i.Owner.UID, (*string)(&i.State), &i.Payload, &i.Prefetch, (*string)(&i.HostPackages))
		i.Handlers = s.list(i.Handlers)
		same(&n.content, i.ID)
		same(&i.Grants.RestartCRIO, n.BootID)
		same(&i.Grants.Reboot, n.BootID)
	}
	if r := n.Report; r != nil {
		s.each(&r.Architecture, (*string)(&r.Phase), &r.Payload, &r.Platform, &r.PayloadVersion, &r.Prefetched, &r.HostCheck, &r.HostWarning)
		r.Handlers = s.list(r.Handlers)
		if slices.Equal(r.Speaks, s.speaks) {
			r.Speaks = s.speaks
		}
		s.speaks = r.Speaks
		same(&r.BootID, n.BootID)
		if n.Intent != nil {
			same(&r.IntentID, n.Intent.ID)
		}
	}
}

// same makes two equal texts one.
func same(text *string, other string) {
	if *text == other {
		*text = other
	}
}

func (s *Strings) each(texts ...*string) {
	for _, text := range texts {
		*text = s.one(*text)
	}
}

func (s *Strings) one(text string) string {
	if shared, found := s.known[text]; found {
		return shared
	}
	if s.known == nil || len(s.known) >= mostStrings {
		s.known = map[string]string{}
	}
	s.known[text] = text
	return text
}

// mostSets bounds the sets of labels that are kept for further Nodes.
const mostSets = 512

// set returns an equal one that a Node had before. Where two sets have the same hash, only the
// first one is shared.
func (s *Strings) set(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	if s.labels == nil || len(s.labels) >= mostSets {
		s.labels, s.seed = map[uint64]map[string]string{}, maphash.MakeSeed()
	}
	var sum uint64
	for key, value := range labels {
		sum += maphash.Comparable(s.seed, [2]string{key, value})
	}
	if known, found := s.labels[sum]; found && maps.Equal(known, labels) {
		return known
	}
	own := make(map[string]string, len(labels))
	for key, value := range labels {
		own[s.one(key)] = s.one(value)
	}
	if _, taken := s.labels[sum]; !taken {
		s.labels[sum] = own
	}
	return own
}

// mostHandlers bounds the lists of handlers that are compared.
const mostHandlers = 16

func (s *Strings) list(handlers []string) []string {
	if len(handlers) == 0 {
		return nil
	}
	for _, shared := range s.handlers {
		if slices.Equal(shared, handlers) {
			return shared
		}
	}
	if len(s.handlers) < mostHandlers {
		s.handlers = append(s.handlers, handlers)
	}
	return handlers
}
