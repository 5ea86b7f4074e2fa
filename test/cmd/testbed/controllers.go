// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// controllers are those without which nodes and the pods on them would not be as in any cluster:
// accounts and what pods mount of them, certificates of kubelets, lost nodes, workloads, and what
// their deletion leaves. One of them can be left out.
func controllers(without string) []string {
	all := []string{
		names.ServiceAccountController, names.RootCACertificatePublisherController,
		names.CertificateSigningRequestApprovingController, names.CertificateSigningRequestSigningController,
		names.CertificateSigningRequestCleanerController,
		names.NodeLifecycleController, names.TaintEvictionController,
		names.DeploymentController, names.ReplicaSetController, names.DaemonSetController, names.JobController,
		names.GarbageCollectorController, names.PodGarbageCollectorController, names.NamespaceController,
	}
	return slices.DeleteFunc(all, func(name string) bool { return name == without })
}

// startControllers runs the real kube-controller-manager inside this process.
func startControllers(ctx context.Context, kubeconfig, without string, files credentials, fail context.CancelCauseFunc) error {
	manager, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	known, disabled, aliases := app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
	err = parse("kube-controller-manager", manager.Flags(known, disabled, aliases), []string{
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false",
		"--use-service-account-credentials", // As in any cluster: policies look at who makes a pod.
		"--secure-port=0",
		"--controllers=" + strings.Join(controllers(without), ","),
		"--cluster-signing-cert-file=" + files.clientCA,
		"--cluster-signing-key-file=" + files.clientKey,
		"--root-ca-file=" + files.serverCA,
		"--service-account-private-key-file=" + files.signer,
	})
	if err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	config, err := manager.Config(ctx, known, disabled, aliases)
	if err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	go func() { fail(fmt.Errorf("running kube-controller-manager: %w", app.Run(ctx, config.Complete()))) }()
	return nil
}
