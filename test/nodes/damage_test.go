// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/test/bed/fault"
)

// damagedFile is what the test damages, as the payload's manifest names it.
const damagedFile = "usr/bin/containerd-shim-kata-v2"

func TestADamagedPayloadIsNamedNeverServedAndPulledAgain(t *testing.T) {
	t.Parallel()
	s := enter(t, "damaged")
	s.install()
	good := s.served()
	s.flipByte()
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
func (s *scene) served() [sha256.Size]byte {
	s.t.Helper()
	content, err := s.node.ReadFile(s.t.Context(), "/run/kata-agent/"+s.awaitServing()+"/payload/"+damagedFile)
	require.NoError(s.t, err)
	return sha256.Sum256(content)
}

// flipByte changes one byte in the agent's store, without telling anybody.
func (s *scene) flipByte() {
	s.t.Helper()
	files, err := filepath.Glob(s.node.Root() + "/var/lib/kata-containers/storage/overlay/*/diff/" + damagedFile)
	require.NoError(s.t, err)
	require.Len(s.t, files, 1)
	file, err := os.OpenFile(files[0], os.O_RDWR, 0)
	require.NoError(s.t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(s.t, err)
	one := make([]byte, 1)
	_, err = file.ReadAt(one, info.Size()/2)
	require.NoError(s.t, err)
	one[0] ^= 1
	_, err = file.WriteAt(one, info.Size()/2)
	require.NoError(s.t, err)
}
