// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kata-node/kata-node/test/standin/crio/network"
)

// cluster serves one pod, "known" in namespace "ns" with uid "1".
func cluster(t *testing.T) network.Pods {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v1/namespaces/ns/pods/known" {
			pod := corev1.Pod{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
				ObjectMeta: metav1.ObjectMeta{Name: "known", Namespace: "ns", UID: "1"},
			}
			assert.NoError(t, json.NewEncoder(w).Encode(pod))
			return
		}
		w.WriteHeader(http.StatusNotFound)
		missing := apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, filepath.Base(r.URL.Path)).Status()
		missing.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		assert.NoError(t, json.NewEncoder(w).Encode(missing))
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
"clusters": [{"name": "c", "cluster": {"server": %q}}], "contexts": [{"name": "c", "context": {"cluster": "c"}}]}`, server.URL)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return network.Pods{Kubeconfig: path}
}

func TestOnlyAPodOfTheClusterGetsNetwork(t *testing.T) {
	t.Parallel()
	pods := cluster(t)
	require.NoError(t, pods.Ready())
	require.NoError(t, pods.Attach(t.Context(), "ns", "known", "1"))
	err := pods.Attach(t.Context(), "ns", "proof", "1")
	require.ErrorContains(t, err, `error adding pod ns_proof to CNI network`)
	require.ErrorContains(t, err, `pods "proof" not found`)
	assert.ErrorContains(t, pods.Attach(t.Context(), "ns", "known", "2"), `expected pod UID "2" but got "1"`)
}

func TestThereIsNoNetworkBeforeItsCredential(t *testing.T) {
	t.Parallel()
	pods := network.Pods{Kubeconfig: filepath.Join(t.TempDir(), "absent")}
	require.ErrorContains(t, pods.Ready(), "no CNI configuration")
	assert.ErrorContains(t, pods.Attach(t.Context(), "ns", "known", "1"), "no CNI configuration")
}
