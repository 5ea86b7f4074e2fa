// SPDX-License-Identifier: Apache-2.0

// Package network is OpenShift's pod network as far as a sandbox meets it: it attaches only pods
// that the API server knows. A sandbox that was made without a pod gets no network, whatever
// its handler.
package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// lookup bounds one question to the API server.
const lookup = 10 * time.Second

// Pods asks the API server with the credential of a kubeconfig file, which is read again for every
// sandbox.
type Pods struct{ Kubeconfig string }

// Ready returns an error while there is no configuration to ask with.
func (p Pods) Ready() error {
	if _, err := os.Stat(p.Kubeconfig); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no CNI configuration: %w", err)
	}
	return nil
}

// Attach returns an error unless a pod of that namespace, name and uid exists.
func (p Pods) Attach(ctx context.Context, namespace, name, uid string) error {
	if err := p.Ready(); err != nil {
		return err
	}
	if err := p.find(ctx, namespace, name, uid); err != nil {
		return fmt.Errorf("error adding pod %s_%s to CNI network %q: %w", namespace, name, "multus-cni-network", err) //nolint:revive // Multus' own words
	}
	return nil
}

func (p Pods) find(ctx context.Context, namespace, name, uid string) error {
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := corev1.NewForConfig(config)
	if err != nil {
		return err
	}
	pod, err := client.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if string(pod.UID) != uid {
		return fmt.Errorf("expected pod UID %q but got %q from Kube API", uid, pod.UID)
	}
	return nil
}
