// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// foreignFile is a part of CRI-O's configuration that somebody else wrote.
const foreignFile = "/etc/crio/crio.conf.d/99-site.conf"

// foreignRuntime is a runtime without virtual machines that somebody else installed.
const foreignRuntime = "/usr/local/sbin/runc"

func (s *subject) writeForeign(content string) {
	s.t.Helper()
	require.NoError(s.t, s.node.WriteFile(foreignFile, []byte(content), 0o644))
}

// complains is a report whose error has these words.
func complains(words string) func(node.Report) bool {
	return func(r node.Report) bool { return r.Error != nil && strings.Contains(r.Error.Message, words) }
}

func TestAHandlerThatAnotherFileHasTakenIsNotServed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "taken")
	s.install()
	runc, err := os.ReadFile(s.cluster.Programs.Path("runc"))
	require.NoError(t, err)
	require.NoError(t, s.node.WriteFile(foreignRuntime, runc, 0o755))
	s.writeForeign("[crio.runtime.runtimes.kata-oc]\nruntime_path = \"" + foreignRuntime + "\"\n")
	s.run("systemctl", "restart", crioUnit)
	report := s.awaitReport("names the file", complains(foreignFile))
	assert.Empty(t, report.Payload, "CRI-O would run pods of our handler with runc")
	s.awaitFailed(says(foreignFile))
	s.bindPod("outside")
	s.awaitPod("outside")
	s.awaitShims(0)

	s.run("rm", foreignFile)
	s.run("systemctl", "restart", crioUnit)
	s.awaitCompleted()
	s.runPod("pod")
	assert.Len(t, s.payloadMounts(), 1)
	s.assertCRIOStarts(4)

	s.endPod("pod")
	s.endPod("outside")
	s.unwant()
	s.assertClean()
}

func TestForeignConfigurationOfCRIOIsNamedAndNeverRestartedInto(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "foreign")
	s.writeForeign("[crio.runtime.runtimes.kata-oc]\nruntime_path = \"/usr/sbin/runc\"\n")
	s.want(map[string]any{})
	s.awaitFailed(says(foreignFile))
	assert.False(t, s.hasFile(dropIn))

	s.writeForeign("[crio.runtime\n")
	s.kill()
	s.awaitFailed(says("refuse"))
	assert.Equal(t, pending, s.current())
	s.bindOrdinaryPod("ordinary")
	s.awaitPod("ordinary")
	s.assertCRIOStarts(1)

	s.run("rm", foreignFile)
	s.kill()
	s.assertInstalled()
	s.endPod("pod")

	s.writeForeign("[crio.runtime]\ndefault_runtime = \"kata-oc\"\n")
	s.kill()
	s.unwantSoon()
	s.awaitReport("names the default runtime", complains(foreignFile))
	assert.True(t, s.hasFile(dropIn), "CRI-O would refuse to start without it")
	s.run("systemctl", "restart", crioUnit)
	s.awaitAdmission()
	s.bindOrdinaryPod("default")
	s.awaitPod("default")
	s.awaitShims(1)
	s.run("rm", foreignFile)
	s.kill()
	s.awaitStatus("which still uses payload")
	assert.True(t, s.hasFile(dropIn), "without its handler the pod could not even be deleted")
	assert.Len(t, s.payloadMounts(), 1)

	s.endPod("default")
	s.awaitUnwanted()
	s.assertClean()
}
