// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
)

func ledgerOf(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kata-node", Name: ledger.Name, ResourceVersion: "7"}, Data: data}
}

// asks is a Node whose agent waits for its grant.
func asks(t *testing.T, name string) *corev1.Node {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-of-a", ResourceVersion: "5"}}
	intent := node.Intent{State: node.StateInstalled, Payload: factstest.PayloadA, HostPackages: node.HostPackagesAuto}.Identify(string(n.UID))
	document, err := intent.Encode()
	require.NoError(t, err)
	report, err := node.Report{Version: node.Version, IntentID: intent.ID, BootID: "boot-1", Phase: node.PhaseAwaitingGrant}.Encode()
	require.NoError(t, err)
	n.Annotations = map[string]string{node.IntentAnnotation: document, node.ReportAnnotation: report}
	return n
}

func TestALostLedgerIsMadeAnewFromTheNodesThatAskForAGrant(t *testing.T) {
	t.Parallel()
	good := `{"kind":"RestartCRIO","boot":"b"}`
	for name, x := range map[string]struct {
		present *corev1.ConfigMap
		entries []string
		writes  string
	}{
		"it is gone":             {nil, []string{"a"}, "create"},
		"it cannot be read":      {ledgerOf(map[string]string{"x": "{", "y": good}), []string{"a"}, "update"},
		"it is there, after all": {ledgerOf(map[string]string{"y": good}), []string{"y"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := []runtime.Object{asks(t, "a"), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "b"}}}
			if x.present != nil {
				objects = append(objects, x.present)
			}
			kube := fake.NewClientset(objects...)
			log := logrus.New()
			log.SetOutput(t.Output())
			w := &apply.Writer{Kube: kube, Namespace: "kata-node", Log: log, Now: factstest.Noon}
			m, err := w.RestoreLedger(t.Context())
			require.NoError(t, err)
			l := ledger.Of(m)
			assert.Equal(t, x.entries, slices.Sorted(maps.Keys(l.Entries)))
			assert.False(t, l.Lost)
			writes := ""
			for _, action := range kube.Actions() {
				if action.GetVerb() != "list" {
					writes += action.GetVerb()
				}
			}
			assert.Equal(t, x.writes, writes)
		})
	}
}
