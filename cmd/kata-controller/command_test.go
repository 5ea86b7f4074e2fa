// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/controller/facts/factstest"
)

func TestPayloadFlagsAreCheckedAtStart(t *testing.T) {
	t.Parallel()
	for flag, says := range map[string]string{
		"--allowed-payloads=docker://registry.example.com": `reading --allowed-payloads: "docker://registry.example.com" is not a repository`,
		"--allowed-payloads=registry.example.com/other":    "is below none of --allowed-payloads",
		"--allowed-payloads=":                              "is below none of --allowed-payloads",
		"--default-payload=registry.example.com/kata:v1":   "is not an image by digest",
	} {
		cmd := command(logrus.New())
		cmd.SetArgs([]string{"--default-payload=" + factstest.PayloadA, flag})
		require.ErrorContains(t, cmd.ExecuteContext(t.Context()), says, flag)
	}
	require.NoError(t, checkPayloads(factstest.PayloadA, nil))
	require.NoError(t, checkPayloads(factstest.PayloadA, []string{"other.example", "registry.example.com/kata/"}))
}
