// SPDX-License-Identifier: Apache-2.0

// Package pki issues the certificates by which the parts of a test cluster know each other. Its
// keys are small and its certificates short-lived: nothing made here is fit for use outside a test.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/kata-node/kata-node/test/bed/endpoints"
)

// Lifetime outlasts a demo that was left running over a weekend.
const Lifetime = 7 * 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pair endpoints.Pair
}

// New makes an authority with a key of its own.
func New(name string) (*Authority, error) {
	template := template(pkix.Name{CommonName: name})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	pair, err := sign(template, nil)
	if err != nil {
		return nil, fmt.Errorf("making authority %q: %w", name, err)
	}
	return Load(pair)
}

// Load takes up an authority that another process made.
func Load(pair endpoints.Pair) (*Authority, error) {
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("loading authority: %w", err)
	}
	key, ok := loaded.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("loading authority: key is a %T, want ECDSA", loaded.PrivateKey)
	}
	return &Authority{cert: loaded.Leaf, key: key, pair: pair}, nil
}

// Pair returns the authority's own certificate and key.
func (a *Authority) Pair() endpoints.Pair { return a.pair }

// Client issues what a user of the API server shows: the user's name as common name, the groups as
// organizations.
func (a *Authority) Client(user string, groups ...string) (endpoints.Pair, error) {
	return a.client(template(pkix.Name{CommonName: user, Organization: groups}))
}

// ExpiringClient issues what Client does, for the rest of a longer life of which more than 90 % are
// over, which is when a kubelet renews its certificate at the latest.
func (a *Authority) ExpiringClient(rest time.Duration, user string, groups ...string) (endpoints.Pair, error) {
	template := template(pkix.Name{CommonName: user, Organization: groups})
	template.NotAfter = time.Now().Add(rest)
	template.NotBefore = template.NotAfter.Add(-20 * rest)
	return a.client(template)
}

func (a *Authority) client(template *x509.Certificate) (endpoints.Pair, error) {
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	pair, err := sign(template, a)
	if err != nil {
		return endpoints.Pair{}, fmt.Errorf("issuing client certificate for %q: %w", template.Subject.CommonName, err)
	}
	return pair, nil
}

// Server issues what a server on the given addresses shows.
func (a *Authority) Server(name string, addresses ...net.IP) (endpoints.Pair, error) {
	template := template(pkix.Name{CommonName: name})
	template.IPAddresses = addresses
	template.DNSNames = []string{"localhost"}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	pair, err := sign(template, a)
	if err != nil {
		return endpoints.Pair{}, fmt.Errorf("issuing server certificate for %q: %w", name, err)
	}
	return pair, nil
}

func template(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject:   subject,
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(Lifetime),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

// sign makes a key and a certificate over it; without a parent the certificate signs itself.
func sign(template *x509.Certificate, parent *Authority) (endpoints.Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return endpoints.Pair{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return endpoints.Pair{}, err
	}
	issuer, issuerKey := template, key
	if parent != nil {
		issuer, issuerKey = parent.cert, parent.key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return endpoints.Pair{}, err
	}
	return encode(cert, key)
}

func encode(cert []byte, key *ecdsa.PrivateKey) (endpoints.Pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return endpoints.Pair{}, err
	}
	return endpoints.Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}
