// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// startupLimit covers a machine that compiles on all cores meanwhile.
const startupLimit = 10 * time.Minute

// awaitAPIServer returns when the API server is ready.
func awaitAPIServer(ctx context.Context, admin *kubernetes.Clientset) error {
	return await(ctx, "kube-apiserver to be ready", func(ctx context.Context) bool {
		return admin.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	})
}

// awaitAccount returns when the controllers have made the default account of the default namespace,
// without which pods are refused there.
func awaitAccount(ctx context.Context, admin kubernetes.Interface) error {
	return await(ctx, "the default service account", func(ctx context.Context) bool {
		_, err := admin.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
}

func await(ctx context.Context, what string, done func(context.Context) bool) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startupLimit, true, func(ctx context.Context) (bool, error) {
		return done(ctx), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}

// allowRenewals lets kubelets renew their certificates, as whatever sets up a cluster does.
func allowRenewals(ctx context.Context, admin kubernetes.Interface) error {
	const role = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
	_, err := admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "testbed:node-client-certificate-renewal"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:nodes"}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("allowing kubelets to renew their certificates: %w", err)
	}
	return nil
}
