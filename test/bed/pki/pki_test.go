// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/endpoints"
	"github.com/kata-node/kata-node/test/bed/pki"
)

func TestClientIsKnownByNameAndGroupsAlsoAfterLoading(t *testing.T) {
	t.Parallel()
	made, err := pki.New("clients")
	require.NoError(t, err)
	loaded, err := pki.Load(made.Pair())
	require.NoError(t, err)
	issued, err := loaded.Client("system:node:n1", "system:nodes")
	require.NoError(t, err)

	client := parse(t, issued.Cert)
	assert.Equal(t, "system:node:n1", client.Subject.CommonName)
	assert.Equal(t, []string{"system:nodes"}, client.Subject.Organization)
	require.NoError(t, verify(t, made, client, x509.ExtKeyUsageClientAuth))
	require.Error(t, verify(t, made, client, x509.ExtKeyUsageServerAuth), "a client is no server")
	other, err := pki.New("clients")
	require.NoError(t, err)
	require.Error(t, verify(t, other, client, x509.ExtKeyUsageClientAuth), "another cluster does not know it")
}

func TestServerIsKnownByItsAddress(t *testing.T) {
	t.Parallel()
	authority, err := pki.New("servers")
	require.NoError(t, err)
	issued, err := authority.Server("kube-apiserver", net.IPv4(127, 0, 0, 1))
	require.NoError(t, err)
	server := parse(t, issued.Cert)
	require.NoError(t, verify(t, authority, server, x509.ExtKeyUsageServerAuth))
	assert.NoError(t, server.VerifyHostname("127.0.0.1"))
}

func TestLoadRefusesWhatIsNoAuthority(t *testing.T) {
	t.Parallel()
	_, err := pki.Load(endpoints.Pair{Cert: []byte("x"), Key: []byte("y")})
	require.ErrorContains(t, err, "loading authority")
}

func parse(t *testing.T, content []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(content)
	require.NotNil(t, block)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return parsed
}

func verify(t *testing.T, authority *pki.Authority, issued *x509.Certificate, usage x509.ExtKeyUsage) error {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority.Pair().Cert))
	_, err := issued.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}
