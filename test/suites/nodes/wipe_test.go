// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// CRI-O wipes its storage after an unclean shutdown and after an upgrade, and a kubelet deletes
// images that no container uses. Ours is another store.
func TestAWipeOfCRIOsStorageTakesNoPayload(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "wiped")
	s.install()
	mounts, current, asked := s.payloadMounts(), s.current(), len(s.node.Images.Requests())
	const containers = "/var/lib/containers/storage/overlay-containers"
	s.run("systemctl", "stop", kubeletUnit, crioUnit)
	s.dismissBystander()
	s.run("crio", "wipe", "--force")
	assert.Empty(t, s.run("sh", "-c", "find "+containers+" -mindepth 1 -maxdepth 1 -type d"), "the wipe is one")
	s.run("systemctl", "start", crioUnit, kubeletUnit)
	s.awaitAdmission()
	s.awaitCompleted()
	s.runPod("pod")
	assert.Equal(t, mounts, s.payloadMounts())
	assert.Equal(t, current, s.current())
	assert.Len(t, s.node.Images.Requests(), asked, "nothing is pulled again")
	s.assertCRIOStarts(3)
}
