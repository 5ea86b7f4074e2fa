// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func says(words string) func(string) bool {
	return func(sentence string) bool { return strings.Contains(sentence, words) }
}

func TestAnUpdateThatFailsItsProofServesNobody(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "broken-update")
	s.install()
	s.runPod("old")
	current, shim := s.current(), s.onlyShim()

	s.change("payloadImage", s.broken)
	s.awaitFailed(says(brokenSentence))
	assert.Equal(t, current, s.current())
	s.runPod("new")
	shims := s.awaitShims(2)
	assert.Contains(t, shims, shim, "the old pod goes on")
	for _, pid := range shims {
		executable, err := s.node.Executable(t.Context(), pid)
		require.NoError(t, err)
		payload := path.Join("/run/kata-agent", current, "payload")
		assert.Equal(t, path.Join(payload, "usr/bin/containerd-shim-kata-v2"), executable)
		maps, err := s.node.Exec(t.Context(), "cat", fmt.Sprintf("/proc/%d/maps", pid))
		require.NoError(t, err)
		assert.Contains(t, string(maps), path.Join(payload, "opt/kata/share/kata-containers/kata-test.image"), "the base configuration names it")
	}

	assert.Empty(t, s.run("find", "/var/log", "-path", "/var/log/crio/pods/*"), "logs of proofs that failed")

	s.change("payloadImage", s.two)
	s.awaitCompleted()
	assert.NotEqual(t, current, s.current())
	s.runPod("newest")
	s.assertCRIOStarts(2)
}

func TestAFirstInstallationThatFailsItsProofIsNotReady(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "broken-install")
	s.want(map[string]any{"payloadImage": s.broken})
	s.awaitFailed(says(brokenSentence))
	assert.Equal(t, pending, s.current())
	object, err := s.node.Object(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, object.Labels, node.ReadyLabel)

	s.change("payloadImage", s.two)
	s.assertInstalled()
}
