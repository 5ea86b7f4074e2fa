// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// damagedFile is what the test damages, as the payload's manifest names it.
const damagedFile = "usr/bin/containerd-shim-kata-v2"

func TestADamagedPayloadIsNamedNeverServedAndPulledAgain(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "damaged")
	s.install()
	good := s.served()
	s.flipByte("overlay/*/diff/"+damagedFile, false)
	stall := s.node.Images.Stall(fault.Blobs)
	asked := len(s.node.Images.Requests())
	require.NoError(t, s.node.PowerCut(t.Context()))

	<-stall.Reached() // everything before the second pull is done, and nothing after it
	assert.Equal(t, pending, s.current())
	assert.Empty(t, s.payloadMounts())
	report := s.awaitReport("names the damaged file", func(r node.Report) bool {
		return r.Error != nil && strings.Contains(r.Error.Message, damagedFile)
	})
	assert.Empty(t, report.Payload)
	s.bindPod("pod")
	s.awaitRefusal("pod", damagedFile)

	stall.Release()
	s.awaitPod("pod")
	assert.Equal(t, good, s.served())
	again := s.node.Images.Requests()[asked:]
	assert.True(t, slices.ContainsFunc(again, func(r string) bool { return strings.Contains(r, "/blobs/") }), "%v", again)
	s.awaitCompleted()
	s.assertCRIOStarts(3)
}

// served is the checksum of the file as pods get it.
func (s *subject) served() [sha256.Size]byte {
	s.t.Helper()
	content, err := s.node.ReadFile(s.t.Context(), "/run/kata-agent/"+s.awaitServing()+"/payload/"+damagedFile)
	require.NoError(s.t, err)
	return sha256.Sum256(content)
}

// flipByte changes one byte of the one file in the agent's store that matches, without telling
// anybody: the first one, or one in the middle.
func (s *subject) flipByte(pattern string, first bool) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.node.Root(), host.StoreDir, pattern))
	require.NoError(s.t, err)
	require.Len(s.t, files, 1, pattern)
	content, err := os.ReadFile(files[0])
	require.NoError(s.t, err)
	at := len(content) / 2
	if first {
		at = 0
	}
	content[at] ^= 1
	// In place: the file's inode stays, as on a bad disk.
	file, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	require.NoError(s.t, err)
	defer file.Close()
	_, err = file.WriteAt(content[at:at+1], int64(at))
	require.NoError(s.t, err)
}

func TestDamagedRecordsOfTheStoreAreReplaced(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "damaged-records")
	s.install()
	good := s.served()
	for _, damage := range []struct {
		pattern string
		first   bool
		named   string
	}{
		{"overlay-layers/layers.json", true, "loading \"/var/lib/kata-containers/storage/overlay-layers/layers.json"},
		{"overlay-images/images.json", true, "loading \"/var/lib/kata-containers/storage/overlay-images/images.json"},
		{"overlay-containers/containers.json", true, "loading \"/var/lib/kata-containers/storage/overlay-containers/containers.json"},
		{"overlay-layers/layers.json", false, ""},
		{"overlay-images/images.json", false, ""},
		{"overlay-images/*/=c2hhMjU2*", false, ""}, // the image's configuration, whose name is its digest
		{"overlay-images/*/manifest", false, ""},
	} {
		s.flipByte(damage.pattern, damage.first)
		require.NoError(t, s.node.PowerCut(t.Context()))
		assert.Equal(t, good, s.served(), "%v", damage)
		journal, err := s.node.Journal(t.Context(), agentUnit)
		require.NoError(t, err)
		assert.Contains(t, journal, damage.named)
		s.awaitCompleted()
	}
}

func TestADamagedStoreInUseIsNamedAndKept(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "damaged-in-use")
	s.install()
	s.runPod("old")
	mounts := s.payloadMounts()
	s.flipByte("overlay-images/images.json", true)
	s.kill()
	s.awaitFailed(says("overlay-images/images.json"))
	s.runPod("new")
	assert.Equal(t, mounts, s.payloadMounts())

	require.NoError(t, s.node.PowerCut(t.Context()))
	s.awaitServing()
	s.awaitCompleted()
	s.awaitShims(2)
	s.assertCRIOStarts(3)
}

// Payloads share files by hard links, so that the next one would have the damage of the running
// one.
func TestABitThatFlipsBelowARunningPodSpoilsNoOtherPayload(t *testing.T) {
	t.Parallel()
	const shared = "opt/kata/share/kata-containers/kata-test.image"
	s := newSubject(t, "rotten")
	s.install()
	s.runPod("old")
	shim, old := s.onlyShim(), s.current()
	content := func(slot string) string { return s.read("/run/kata-agent/" + slot + "/payload/" + shared) }
	good := content(old)
	s.flipByte("overlay/*/diff/"+shared, false)
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	assert.NotEqual(t, old, s.current())
	assert.Equal(t, good, content(s.current()))
	assert.NotEqual(t, good, content(old), "the pod keeps the files that it has")
	journal, err := s.node.Journal(t.Context(), agentUnit)
	require.NoError(t, err)
	assert.Contains(t, journal, shared+": sha256 is ")

	s.runPod("new")
	assert.Contains(t, s.awaitShims(2), shim)
	s.endPod("old")
	s.awaitMounts(1)
}
