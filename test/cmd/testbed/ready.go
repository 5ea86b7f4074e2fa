// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kata-node/kata-node/test/bed/endpoints"
	"github.com/kata-node/kata-node/test/bed/pki"
)

// startupLimit covers a machine that compiles on all cores meanwhile.
const startupLimit = 10 * time.Minute

// awaitReady returns when the API server is ready and has what its controllers would have made:
// pods are refused in a namespace without its default service account.
func awaitReady(ctx context.Context, e endpoints.Endpoints, clients *pki.Authority) error {
	admin, err := adminClient(e, clients)
	if err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startupLimit, true, func(ctx context.Context) (bool, error) {
		return admin.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil && makeDefaultAccount(ctx, admin) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for kube-apiserver at %s: %w", e.APIServer, err)
	}
	return nil
}

func makeDefaultAccount(ctx context.Context, admin kubernetes.Interface) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err := admin.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Create(ctx, account, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func adminClient(e endpoints.Endpoints, clients *pki.Authority) (*kubernetes.Clientset, error) {
	pair, err := clients.Client("testbed", "system:masters")
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(&rest.Config{
		Host:            "https://" + e.APIServer,
		TLSClientConfig: rest.TLSClientConfig{CAData: e.ServerCA, CertData: pair.Cert, KeyData: pair.Key},
	})
}
