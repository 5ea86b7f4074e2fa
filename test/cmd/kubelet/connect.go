// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/kata-node/kata-node/test/standin/kubelet/cri"
)

const (
	// runtimeWait is how long a start waits for the runtime's first answer.
	runtimeWait = 2 * time.Minute
	// heartbeatTimeout is the kubelet's: one status period.
	heartbeatTimeout = 10 * time.Second
	// The kubelet's own limits on requests per second.
	requestRate, requestBurst = 50, 100
)

// clients of one credential: node has a time-out, which watches must not have.
type clients struct{ pods, node kubernetes.Interface }

func connect(kubeconfig string) (clients, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return clients{}, fmt.Errorf("reading the node's credential from %s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst, config.UserAgent = requestRate, requestBurst, "kubelet/v1.37.2 (test bed)"
	pods, err := kubernetes.NewForConfig(config)
	if err != nil {
		return clients{}, fmt.Errorf("making a client for pods: %w", err)
	}
	heartbeat := rest.CopyConfig(config)
	heartbeat.Timeout = heartbeatTimeout
	node, err := kubernetes.NewForConfig(heartbeat)
	if err != nil {
		return clients{}, fmt.Errorf("making a client for the node: %w", err)
	}
	return clients{pods: pods, node: node}, nil
}

// answering waits for the runtime's first answer, because a kubelet without a runtime does not
// start.
func answering(ctx context.Context, runtime *cri.Client) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, time.Second/4, runtimeWait, true, func(ctx context.Context) (bool, error) {
		_, last = runtime.Version(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the container runtime: %w", errors.Join(err, last))
	}
	return nil
}

// events makes a recorder whose events reach the API server with the kubelet's own aggregation, and
// a function that ends it.
func events(ctx context.Context, client kubernetes.Interface, node string) (record.EventRecorder, func()) {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: node}), broadcaster.Shutdown
}
