// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime in seconds, of service account tokens; it outlasts a test run and a demo.
const tokenLifetime = 24 * 60 * 60

// Admin is a client configuration that may do everything.
func (c *Cluster) Admin() (*rest.Config, error) { return c.User("admin", "system:masters") }

// NodeUser is a client configuration with what the kubelet of that node may do.
func (c *Cluster) NodeUser(node string) (*rest.Config, error) {
	return c.User("system:node:"+node, "system:nodes")
}

// User is a client configuration for any user, by client certificate.
func (c *Cluster) User(name string, groups ...string) (*rest.Config, error) {
	pair, err := c.clients.Client(name, groups...)
	if err != nil {
		return nil, err
	}
	config := c.config()
	config.CertData, config.KeyData = pair.Cert, pair.Key
	return config, nil
}

// ServiceAccount is a client configuration with a fresh token of a service account, which has to
// exist.
func (c *Cluster) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	admin, err := c.Client()
	if err != nil {
		return nil, err
	}
	seconds := int64(tokenLifetime)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	issued, err := admin.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting token of service account %s/%s: %w", namespace, name, err)
	}
	config := c.config()
	config.BearerToken = issued.Status.Token
	return config, nil
}

// Client is a client set of the administrator.
func (c *Cluster) Client() (*kubernetes.Clientset, error) {
	admin, err := c.Admin()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(admin)
}

// WriteKubeconfig writes a client configuration as a kubeconfig file that holds all it needs.
func (c *Cluster) WriteKubeconfig(path string, config *rest.Config) error {
	const name = "test"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	return nil
}
