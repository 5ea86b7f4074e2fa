// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GetObjectMeta is how an informer finds key and version of what its store has.
func (n *Node) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion}
}

// mostStrings bounds Strings. Beyond it, what was shared stays so, and sharing begins anew.
const mostStrings = 4096

// Strings lets Nodes share the texts that most of them have in common: labels, versions, payloads.
// Its zero value is empty. It is safe for concurrent use.
type Strings struct {
	mu    sync.Mutex
	known map[string]string
	// handlers are lists of handlers, which few differ in.
	handlers [][]string
	// speaks are the versions that the agent of the Node before speaks.
	speaks []int
}

// Share makes the Node share what it can. Only its owner may call this.
func (s *Strings) Share(n *Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	labels := make(map[string]string, len(n.Labels))
	for key, value := range n.Labels {
		if key != corev1.LabelHostname {
			value = s.one(value)
		}
		labels[s.one(key)] = value
	}
	n.Labels = labels
	n.Handlers = s.list(n.Handlers)
	s.each(&n.Runs.OpenShift, &n.Runs.Kubernetes, &n.Runs.Architecture)
	if i := n.Intent; i != nil {
		s.each(&i.Owner.Name, &i.Owner.UID, (*string)(&i.State), &i.Payload, &i.Prefetch, (*string)(&i.HostPackages))
		i.Handlers = s.list(i.Handlers)
	}
	if r := n.Report; r != nil {
		s.each(&r.Architecture, (*string)(&r.Phase), &r.Payload, &r.Platform, &r.PayloadVersion, &r.Prefetched, &r.HostCheck, &r.HostWarning)
		r.Handlers = s.list(r.Handlers)
		if slices.Equal(r.Speaks, s.speaks) {
			r.Speaks = s.speaks
		}
		s.speaks = r.Speaks
		if n.Intent != nil && r.IntentID == n.Intent.ID {
			r.IntentID = n.Intent.ID
		}
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
