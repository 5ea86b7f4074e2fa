// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestTheShimEndsBeforeTheAgentIsInitialized(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	var out, trace strings.Builder
	shim := exec.CommandContext(t.Context(), self, "features")
	shim.Args[0], shim.Env = "/run/kata-agent/current/kata-oc/"+host.Shim, []string{"GODEBUG=inittrace=1"}
	shim.Stdout, shim.Stderr = &out, &trace
	require.NoError(t, shim.Run())
	assert.JSONEq(t, "{}", out.String())
	require.Contains(t, trace.String(), "init os ", "the trace shows what was initialized")
	for _, heavy := range []string{"init k8s.io/", "init go.podman.io/storage", "init google.golang.org/grpc ", "init github.com/mattn/"} {
		assert.NotContains(t, trace.String(), heavy)
	}
}
