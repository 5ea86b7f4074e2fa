// SPDX-License-Identifier: Apache-2.0

// Package endpoints is the document that the testbed program writes when its control plane is
// ready. It holds what a client needs to reach and to enter that control plane, and nothing that
// lives longer than it.
package endpoints

import (
	"encoding/json"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Stop is the signal by which an owner that lives on ends the control plane. SIGTERM comes from the
// kernel when the owner ends, see process.Start.
const Stop = unix.SIGUSR1

// Pair is a certificate and its private key, both in PEM.
type Pair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

// Endpoints says where the control plane listens and how it knows its clients.
type Endpoints struct {
	// APIServer is the host:port of the kube-apiserver, which speaks TLS.
	APIServer string `json:"apiServer"`
	// AuditLog is a file with one audit.k8s.io/v1 event per line, for each answer to a node.
	AuditLog string `json:"auditLog"`
	// Registry is the host:port of the image registry, which speaks plain HTTP.
	Registry string `json:"registry"`
	// ServerCA signs what the API server shows to its clients.
	ServerCA []byte `json:"serverCA"`
	// ClientCA signs what clients show to the API server; whoever holds it may be anybody.
	ClientCA Pair `json:"clientCA"`
}

// Write writes the document as one line.
func (e Endpoints) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(e); err != nil {
		return fmt.Errorf("writing endpoints: %w", err)
	}
	return nil
}

// Read waits for one document and returns it.
func Read(r io.Reader) (Endpoints, error) {
	var e Endpoints
	if err := json.NewDecoder(r).Decode(&e); err != nil {
		return Endpoints{}, fmt.Errorf("reading endpoints: %w", err)
	}
	return e, nil
}
