// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/kata-node/kata-node/test/bed/pki"
)

// credentials are the authorities of one control plane and the files that its API server reads.
type credentials struct {
	dir                        string
	clients, servers, accounts *pki.Authority
	clientCA, clientKey        string
	serverCA, cert, key        string
	kubeletCert, kubeletKey    string
	signer, verifier           string
}

// newCredentials makes every key of the control plane and writes below dir what the API server
// takes by file name.
func newCredentials(dir string) (credentials, error) {
	c := credentials{dir: filepath.Join(dir, "pki")}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return c, fmt.Errorf("making credentials: %w", err)
	}
	for _, authority := range []struct {
		name string
		into **pki.Authority
	}{{"clients", &c.clients}, {"servers", &c.servers}, {"service-accounts", &c.accounts}} {
		made, err := pki.New(authority.name)
		if err != nil {
			return c, err
		}
		*authority.into = made
	}
	return c, c.writeFiles()
}

func (c *credentials) writeFiles() error {
	server, err := c.servers.Server("kube-apiserver", net.IPv4(127, 0, 0, 1))
	if err != nil {
		return err
	}
	toKubelets, err := c.clients.Client("kube-apiserver", "system:masters")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name    string
		content []byte
		path    *string
	}{
		{"client-ca.crt", c.clients.Pair().Cert, &c.clientCA},
		{"client-ca.key", c.clients.Pair().Key, &c.clientKey},
		{"server-ca.crt", c.servers.Pair().Cert, &c.serverCA},
		{"server.crt", server.Cert, &c.cert},
		{"server.key", server.Key, &c.key},
		{"kubelets.crt", toKubelets.Cert, &c.kubeletCert},
		{"kubelets.key", toKubelets.Key, &c.kubeletKey},
		{"service-accounts.key", c.accounts.Pair().Key, &c.signer},
		{"service-accounts.crt", c.accounts.Pair().Cert, &c.verifier},
	} {
		*file.path = filepath.Join(c.dir, file.name)
		if err := os.WriteFile(*file.path, file.content, 0o600); err != nil {
			return fmt.Errorf("writing credentials: %w", err)
		}
	}
	return nil
}
