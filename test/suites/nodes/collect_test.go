// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnArchiveIsWrittenWithoutAPIServerAndWithoutCRIO(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "collected")
	s.install()
	s.runPod("pod")
	whole := s.collect()
	assert.Contains(t, whole, "status.txt")
	assert.Contains(t, whole, "sandboxes.json")
	assert.Contains(t, whole, "mounts-crio.txt")
	assert.Contains(t, whole, "files/var/lib/kata-agent/served.json")
	assert.NotContains(t, strings.Join(whole, " "), ".problem")
	assert.Contains(t, s.run("tar", "-xzOf", "/root/a.tar.gz", "status.txt"), "serves new pods")

	s.node.API.Cut()
	s.run("systemctl", "stop", kubeletUnit, crioUnit)
	broken := s.collect()
	assert.Contains(t, broken, "status.txt")
	assert.Contains(t, broken, "sandboxes.json.problem")
	assert.Contains(t, s.run("tar", "-xzOf", "/root/a.tar.gz", "mounts-crio.txt.problem"), "CRI-O does not run")
	assert.NotContains(t, s.run("tar", "-xzOf", "/root/a.tar.gz"), "PRIVATE KEY")

	s.run("systemctl", "start", crioUnit, kubeletUnit)
	s.node.API.Restore()
	s.awaitAdmission()
	s.endPod("pod")
}

// collect writes an archive on the node and returns the names in it.
func (s *subject) collect() []string {
	s.t.Helper()
	s.run("sh", "-c", "rm -f /root/a.tar.gz; exec /usr/libexec/kata-agent/kata-node-agent collect -o /root/a.tar.gz")
	return strings.Fields(s.run("tar", "-tzf", "/root/a.tar.gz"))
}
