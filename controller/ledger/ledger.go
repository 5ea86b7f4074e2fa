// SPDX-License-Identifier: Apache-2.0

// Package ledger is the one object of a cluster that says which nodes the controller may be making
// unavailable. A grant is written to a Node only after its entry is in the ledger, and the ledger
// is replaced only as it was read: two instances that both believe to lead cannot spend the same
// unavailability. The package reads and encodes the object; it decides and writes nothing.
package ledger

import (
	"encoding/json"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Name is the ConfigMap's, in the controller's namespace.
const Name = "kata-ledger"

// Most is how many entries the ledger takes, so that it stays below what the API server stores.
const Most = 3000

// Kind is what an entry's node may do.
type Kind string

// The kinds of entries.
const (
	RestartCRIO Kind = "RestartCRIO"
	Reboot      Kind = "Reboot"
	// Withdrawn is a grant of a restart that was taken back, and that the node may have read just
	// before.
	Withdrawn Kind = "Withdrawn"
)

// Entry is the unavailability that one node may cause, once.
type Entry struct {
	Kind Kind `json:"kind"`
	// UID is the Node's, Boot the boot in which the grant holds.
	UID  string `json:"uid"`
	Boot string `json:"boot"`
	// Version is the resource version of the Node to which the grant is written, or was: the API
	// server takes that write for no other one. Whoever sees a later version sees whether the grant
	// is there.
	Version string `json:"nodeVersion"`
	// Since is when the entry was made, by the controller's clock.
	Since time.Time `json:"since"`
}

// Ledger has the entries by the names of their nodes.
type Ledger struct {
	// Version is the resource version of the object that was read, empty while there is none.
	Version string
	Entries map[string]Entry
	// Lost is true where there is no object, or an entry in it that cannot be read. It may have had
	// entries whose grants no Node shows yet, so that no other one is made before it is restored.
	Lost bool
}

// Of reads the object, nil where there is none.
func Of(m *corev1.ConfigMap) Ledger {
	l := Ledger{Entries: map[string]Entry{}, Lost: m == nil}
	if m == nil {
		return l
	}
	l.Version = m.ResourceVersion
	for name, document := range m.Data {
		var e Entry
		if err := json.Unmarshal([]byte(document), &e); err != nil {
			l.Lost = true
			continue
		}
		l.Entries[name] = e
	}
	return l
}

// Object returns what replaces the object that was read.
func (l Ledger) Object(namespace string) (*corev1.ConfigMap, error) {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name, ResourceVersion: l.Version}, Data: map[string]string{}}
	for name, e := range l.Entries {
		document, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		m.Data[name] = string(document)
	}
	return m, nil
}

// Same is true for two ledgers with the same entries.
func (l Ledger) Same(other Ledger) bool {
	return maps.EqualFunc(l.Entries, other.Entries, func(a, b Entry) bool {
		sameTime := a.Since.Equal(b.Since)
		a.Since = b.Since
		return sameTime && a == b
	})
}
