// SPDX-License-Identifier: Apache-2.0

package bed_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kata-node/kata-node/test/bed"
)

func TestControlPlaneKnowsItsClients(t *testing.T) {
	t.Parallel()
	cluster := start(t)
	admin, err := cluster.Client()
	require.NoError(t, err)
	for _, name := range []string{"n1", "n2"} {
		_, err := admin.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}

	kubelet := client(t, must(cluster.NodeUser("n1"))(t))
	_, err = kubelet.CoreV1().Nodes().Get(t.Context(), "n1", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = kubelet.CoreV1().Nodes().Get(t.Context(), "n2", metav1.GetOptions{})
	require.True(t, apierrors.IsForbidden(err), "the Node authorizer is on: %v", err)

	account := client(t, must(cluster.ServiceAccount(t.Context(), "default", "default"))(t))
	review, err := account.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "nodes"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	assert.False(t, review.Status.Allowed, "RBAC is on")
}

func TestApplyWaitsForTheKindsItDefines(t *testing.T) {
	t.Parallel()
	cluster := start(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte("not: an object"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one.yaml"), []byte(thingDefinition), 0o600))
	require.NoError(t, cluster.Apply(t.Context(), dir))
	require.NoError(t, cluster.Apply(t.Context(), dir), "applying it again")

	err := cluster.ApplyYAML(t.Context(), []byte("apiVersion: test.example/v1\nkind: Thing\nmetadata: {name: b}\nsize: wrong\n"))
	require.ErrorContains(t, err, `Thing "b"`)
}

func TestRegistryTakesABlob(t *testing.T) {
	t.Parallel()
	cluster := start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+cluster.Registry+"/v2/kata/payload/blobs/uploads/", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusAccepted, response.StatusCode)
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	t.Parallel()
	cluster := start(t)
	home := filepath.Dir(cluster.Kubeconfig)
	require.DirExists(t, home)
	require.NoError(t, cluster.Close(t.Context()))
	assert.NoDirExists(t, home)
	_, err := new(net.Dialer).DialContext(t.Context(), "tcp", cluster.Registry)
	assert.Error(t, err)
}

const thingDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.test.example}
spec:
  group: test.example
  scope: Cluster
  names: {kind: Thing, plural: things, singular: thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {size: {type: integer}}}}
---
apiVersion: test.example/v1
kind: Thing
metadata: {name: a}
size: 1
`

func start(t *testing.T, programs ...string) *bed.Cluster {
	t.Helper()
	workspace, err := bed.FindWorkspace()
	require.NoError(t, err)
	built, err := workspace.Build(t.Context(), t.Output(), bed.BuildOptions{Only: append(programs, "testbed")})
	require.NoError(t, err)
	cluster, err := workspace.Start(t.Context(), bed.Options{Programs: built, Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if t.Failed() {
			cluster.Logs(ctx, indent{t.Output()}, "crio.service", "kubelet.service")
		}
		assert.NoError(t, cluster.Close(ctx))
	})
	if len(programs) > 0 { // Here, where nothing counts the time yet.
		require.NoError(t, cluster.PrepareNodes(t.Context(), bed.NodeOptions{}))
	}
	return cluster
}

// indent keeps what nodes logged apart from what the test says.
type indent struct{ io.Writer }

func (i indent) Write(p []byte) (int, error) {
	_, err := io.WriteString(i.Writer, strings.ReplaceAll(string(p), "\n", "\n  "))
	return len(p), err
}

func client(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	made, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return made
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return value
	}
}
