// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
)

func TestAPayloadIsAllowedBelowAPrefixByWholeComponents(t *testing.T) {
	t.Parallel()
	const payload = "r.example:5000/dir/p@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for prefix, allowed := range map[string]bool{
		"r.example:5000": true, "r.example:5000/": true, "r.example:5000/dir": true, "r.example:5000/dir/": true, "r.example:5000/dir/p": true,
		"r.example:5000/dir/p/": true,
		"r.example":             false, "r": false, "r.example:50": false, "r.example:5000/d": false, "r.example:5000/dir/pp": false, "r.example:5000/dir/p/x": false,
		"": false, "/": false, payload: false,
	} {
		assert.Equal(t, allowed, node.PayloadAllowed([]string{prefix}, payload), prefix)
		assert.Equal(t, allowed, node.PayloadAllowed([]string{"other.example/", prefix}, payload), prefix)
	}
	assert.True(t, node.PayloadAllowed(nil, payload), "without a list")
	assert.False(t, node.PayloadAllowed([]string{}, payload), "an empty list allows none")
	assert.True(t, node.PayloadAllowed([]string{}, ""), "a removal names none")
}

func TestAPrefixThatNoPayloadCanBeBelowIsRefused(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{
		"registry.example": true, "registry.example/": true, "registry.example:5000/kata/": true, "registry.example/kata/payload": true,
		"": false, "/": false, "docker://registry.example": false, "registry.example/kata@sha256:aa": false, "Registry.example": false, "registry.example/kata:v1": false, " registry.example": false,
	} {
		assert.Equal(t, good, node.ValidatePrefix(prefix) == nil, prefix)
	}
}
