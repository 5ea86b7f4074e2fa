// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// auditPolicy keeps who asked for what, of nodes and of our controller: others ask far more often.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:nodes"]
- level: Metadata
  users: ["system:serviceaccount:kata-node:kata-controller"]
- level: None
`

// startAPIServer runs the real kube-apiserver inside this process and returns its host:port.
// It has what our authorization rests on: the Node authorizer, RBAC and NodeRestriction. The audit
// log gets a line for each answer to a node or to our controller.
func startAPIServer(ctx context.Context, dir, etcd, auditLog string, files credentials, fail context.CancelCauseFunc) (string, error) {
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return "", fmt.Errorf("starting kube-apiserver: %w", err)
	}
	listener, err := listen(ctx)
	if err != nil {
		return "", fmt.Errorf("starting kube-apiserver: %w", err)
	}
	completed, err := apiServerOptions(ctx, listener, []string{
		"--etcd-servers=" + etcd,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--client-ca-file=" + files.clientCA,
		"--tls-cert-file=" + files.cert,
		"--tls-private-key-file=" + files.key,
		"--cert-dir=" + dir,
		"--kubelet-client-certificate=" + files.kubeletCert,
		"--kubelet-client-key=" + files.kubeletKey,
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + files.verifier,
		"--service-account-signing-key-file=" + files.signer,
		"--service-cluster-ip-range=10.0.0.0/16",
		"--endpoint-reconciler-type=none",
		"--allow-privileged=true",
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + auditLog,
		// In MB: it is one file, whose readers count from the beginning. Without it, it is rotated
		// at 100.
		"--audit-log-maxsize=100000",
		"--v=0",
	})
	if err != nil {
		return "", fmt.Errorf("configuring kube-apiserver: %w", err)
	}
	go func() { fail(fmt.Errorf("running kube-apiserver: %w", app.Run(ctx, completed))) }()
	return listener.Addr().String(), nil
}

func apiServerOptions(ctx context.Context, listener net.Listener, flags []string) (options.CompletedOptions, error) {
	none := options.CompletedOptions{}
	server := options.NewServerRunOptions()
	if err := parse("kube-apiserver", server.Flags(), flags); err != nil {
		return none, err
	}
	server.SecureServing.Listener = listener
	server.SecureServing.BindAddress = net.IPv4(127, 0, 0, 1)
	if err := server.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, err
	}
	completed, err := server.Complete(ctx)
	if err != nil {
		return none, err
	}
	return completed, errors.Join(completed.Validate()...)
}
