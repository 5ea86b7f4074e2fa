// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// missing is a payload that no registry has.
var missing = "registry.kata.test/kata/payload@sha256:" + strings.Repeat("0", 64)

// unreachable is a payload with a name as long as in a real registry, where nothing listens.
var unreachable = "localhost:9/openshift-sandboxed-containers/kata-payload-for-nodes@sha256:" + strings.Repeat("0", 64)

func TestAnIntentThatCannotBeFollowedIsNamedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "bad-intent")
	s.install()
	s.pause()
	mounts, current, handlers := s.payloadMounts(), s.current(), s.read(dropIn)
	for _, bad := range []struct{ intent, complaint string }{
		{`{"version":1`, "not a JSON document"},
		{`{"version":9,"id":"from-the-future","state":"Installed"}`, "version 9 is not one that this program speaks"},
		{`{"version":1,"id":"sideways","state":"Sideways"}`, `state "Sideways" is unknown`},
		{`{"version":1,"id":"missing","state":"Installed","payload":"` + missing + `"}`, missing},
	} {
		s.dictate(bad.intent)
		report := s.awaitReport("complains that "+bad.complaint, func(r node.Report) bool {
			return r.Error != nil && strings.Contains(r.Error.Message, bad.complaint)
		})
		assert.NotEmpty(t, report.Payload, "the installed payload continues to serve")
		s.awaitFailed(says(bad.complaint))
		assert.Equal(t, mounts, s.payloadMounts())
		assert.Equal(t, current, s.current())
		assert.Equal(t, handlers, s.read(dropIn))
	}
	s.runPod("pod")
	s.change("paused", false)
	s.awaitCompleted()
	assert.Equal(t, mounts, s.payloadMounts())
	s.assertCRIOStarts(2)
}

func TestAPayloadThatDoesNotExistIsNamedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "missing-payload")
	s.want(map[string]any{"payloadImage": missing})
	s.awaitFailed(says(missing))
	s.awaitFailed(says("manifest unknown"))
	s.change("payloadImage", unreachable)
	s.awaitFailed(says("connection refused"))
	assert.False(t, s.hasFile(dropIn))
	assert.Empty(t, s.payloadMounts())
	assert.Equal(t, pending, s.current())
	s.assertCRIOStarts(1)

	s.change("payloadImage", s.one)
	s.assertInstalled()
}

func TestALyingRegistryIsNamedAndServesNobody(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "lying-registry")
	honest := s.node.Images.Corrupt(fault.Blobs)
	s.want(map[string]any{})
	s.awaitFailed(says("pulling payload"))
	assert.Empty(t, s.payloadMounts())
	assert.Equal(t, pending, s.current())
	honest()
	s.assertInstalled()
}

func TestAFullDiskIsNamedAndHeals(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "full-disk")
	const dir = "/var/lib/kata-containers"
	s.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir)
	s.want(map[string]any{})
	s.awaitFailed(says("no space left on device"))
	assert.Equal(t, pending, s.current())

	s.run("mount", "-o", "remount,size=100m", dir)
	s.assertInstalled()

	s.endPod("pod")
	s.run("sh", "-c", "! dd if=/dev/zero of="+dir+"/others bs=64k")
	s.unwant()
	s.assertClean()
}

func (s *subject) read(path string) string {
	s.t.Helper()
	content, err := s.node.ReadFile(s.t.Context(), path)
	require.NoError(s.t, err)
	return string(content)
}

func TestAPayloadThatTheNodeDoesNotAllowIsNamedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "not-allowed")
	allow := func(prefix string) {
		require.NoError(t, s.node.WriteFile("/etc/kata-agent/50-payloads.toml", []byte("allowed_payloads = [\""+prefix+"\"]\n"), 0o644))
		s.kill()
	}
	allow("registry.kata.test/others")
	s.want(map[string]any{})
	s.awaitFailed(says("allowed_payloads"))
	assert.False(t, s.hasFile(dropIn))
	assert.Empty(t, s.payloadMounts())
	assert.Empty(t, s.node.Images.Requests(), "not even the registry is asked")

	allow("registry.kata.test/kata")
	s.assertInstalled()
}
