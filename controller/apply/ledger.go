// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/controller/ledger"
)

// Ledger replaces the ledger that was read, and no other one, and returns it as it is stored. It is
// made where none was there.
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
