// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
)

// Ledger replaces the ledger that was read, and no other one, and returns it as it is stored.
func (w *Writer) Ledger(ctx context.Context, l ledger.Ledger) (*corev1.ConfigMap, error) {
	object, err := l.Object(w.Namespace)
	if err != nil {
		return nil, fmt.Errorf("writing the ledger: %w", err)
	}
	client := w.Kube.CoreV1().ConfigMaps(w.Namespace)
	if l.Version == "" {
		object, err = client.Create(ctx, object, metav1.CreateOptions{})
	} else {
		object, err = client.Update(ctx, object, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("writing the ledger, ConfigMap %q: no grant is given without it: %w", w.Namespace+"/"+ledger.Name, err)
	}
	return object, nil
}

// RestoreLedger makes a ledger anew that is lost, from the Nodes, and returns it as it is stored.
// One that is there after all stays as it is. No read is from a cache, and the Nodes are read after
// the ledger: a grant that was entered before is for a Node that shows that it asks for one, and
// whoever enters one meanwhile changes the ledger that is replaced.
func (w *Writer) RestoreLedger(ctx context.Context) (*corev1.ConfigMap, error) {
	only := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, ledger.Name).String()}
	found, err := w.Kube.CoreV1().ConfigMaps(w.Namespace).List(ctx, only)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger, ConfigMap %q, to restore it: %w", w.Namespace+"/"+ledger.Name, err)
	}
	restored := ledger.Ledger{Entries: map[string]ledger.Entry{}}
	for i := range found.Items {
		present := &found.Items[i]
		if !ledger.Of(present).Lost {
			return present, nil
		}
		restored.Version = present.ResourceVersion
	}
	if err := w.enterAsking(ctx, restored); err != nil {
		return nil, err
	}
	w.Log.Infof("The ledger of grants is made anew, with %d nodes that a grant may be on its way to", len(restored.Entries))
	return w.Ledger(ctx, restored)
}

// nodesPerPage is how many whole Nodes are in memory at once. One with 50 images takes about 70 KB:
// pages of 250 were the peak of the controller.
const nodesPerPage = 50

// enterAsking reads every Node from etcd. Where the list becomes too old meanwhile, the next pass
// reads it again.
func (w *Writer) enterAsking(ctx context.Context, restored ledger.Ledger) error {
	now, options := w.Now(), metav1.ListOptions{Limit: nodesPerPage}
	for {
		page, err := w.Kube.CoreV1().Nodes().List(ctx, options)
		if err != nil {
			return fmt.Errorf("reading the nodes to restore the ledger: %w", err)
		}
		for i := range page.Items {
			rollout.Restore(restored, facts.OfNode(&page.Items[i]), now)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}
