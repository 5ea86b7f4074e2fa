// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// adminKubeconfig writes a kubeconfig with which anything is allowed and returns its path.
func adminKubeconfig(dir, apiServer string, files credentials) (string, error) {
	pair, err := files.clients.Client("testbed", "system:masters")
	if err != nil {
		return "", err
	}
	const entry = "testbed"
	config := clientcmdapi.NewConfig()
	config.Clusters[entry] = &clientcmdapi.Cluster{Server: "https://" + apiServer, CertificateAuthorityData: files.servers.Pair().Cert}
	config.AuthInfos[entry] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts[entry] = &clientcmdapi.Context{Cluster: entry, AuthInfo: entry}
	config.CurrentContext = entry
	path := filepath.Join(dir, "admin.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("writing the administrator's kubeconfig: %w", err)
	}
	return path, nil
}

func adminClient(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	return kubernetes.NewForConfig(config)
}
