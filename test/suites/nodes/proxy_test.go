// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// The machine-config operator writes the cluster's proxy into a file for services. The registry has
// a name here that only the proxy can resolve; what NO_PROXY names is reached directly.
func TestAPayloadIsPulledThroughTheClustersProxy(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "behind-proxy")
	listener, err := s.node.Listen(t.Context())
	require.NoError(t, err)
	proxy := fault.NewRegistry(listener, s.cluster.Registry)
	t.Cleanup(func() { assert.NoError(t, proxy.Close()) })
	for file, content := range map[string]string{
		"/etc/mco/proxy.env":              fmt.Sprintf("HTTP_PROXY=http://%[1]s\nHTTPS_PROXY=http://%[1]s\nNO_PROXY=%[2]s\n", proxy.Address(), s.node.API.Address()),
		"/etc/containers/registries.conf": "[[registry]]\nprefix = 'registry.kata.test'\nlocation = 'registry.behind-proxy.invalid'\ninsecure = true\n",
	} {
		require.NoError(t, s.node.WriteFile(file, []byte(content), 0o644))
	}
	agent := s.mainPID(agentUnit)
	s.run("systemctl", "restart", agentUnit)
	s.awaitNewAgent(agent)
	s.install()
	asked := strings.Join(proxy.Requests(), "\n")
	assert.Contains(t, asked, "GET /v2/kata/payload/manifests/")
	assert.Contains(t, asked, "GET /v2/kata/payload/blobs/")
	assert.NotContains(t, asked, "/api", "the API server is reached directly")
	assert.Empty(t, s.node.Images.Requests())
	s.runPod("pod")
}
