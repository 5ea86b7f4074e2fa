// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/agentrpm"
)

// need skips the test, saying why, where a program is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: make deps installs it", p)
		}
	}
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", program, args, out)
	return string(out)
}

// pack is an RPM around a small program: what it does is nothing to its packaging.
func pack(t *testing.T) string {
	t.Helper()
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio", "rpm")
	rpm, err := agentrpm.Build(t.Context(), "/bin/true", t.TempDir())
	require.NoError(t, err)
	return rpm
}

// installed is a root in which the RPM is unpacked.
func installed(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, agentrpm.Unpack(t.Context(), pack(t), root))
	return root
}

func TestScriptsOfTheRPMNameTheUnit(t *testing.T) {
	t.Parallel()
	scripts := output(t, "rpm", "-qp", "--scripts", pack(t))
	for _, call := range []string{"install-system-units kata-node-agent.service", "remove-system-units kata-node-agent.service", "mark-restart-system-units kata-node-agent.service"} {
		assert.Contains(t, scripts, call)
	}
}

func TestThePresetOfTheRPMEnablesTheUnit(t *testing.T) {
	t.Parallel()
	need(t, "systemctl")
	root := installed(t)
	link := filepath.Join(root, "etc/systemd/system/multi-user.target.wants/kata-node-agent.service")
	require.NoFileExists(t, link, "unpacking alone enables nothing")
	require.NoError(t, agentrpm.Enable(t.Context(), root))
	target, err := os.Readlink(link)
	require.NoError(t, err)
	assert.Equal(t, "/usr/lib/systemd/system/kata-node-agent.service", target)
	alias, err := os.Readlink(filepath.Join(root, "etc/systemd/system/kata-agent.service"))
	require.NoError(t, err)
	assert.Equal(t, "/usr/lib/systemd/system/kata-node-agent.service", alias, "systemctl status kata-agent shows the agent")
}

// Fedora's kata-containers says Conflicts: kata-agent, Oracle Linux' says Obsoletes: kata-agent <=
// 4.1.0 and owns the guest's unit.
func TestTheRPMInstallsNextToDistributionsKata(t *testing.T) {
	t.Parallel()
	rpm := pack(t)
	assert.Equal(t, "kata-node-agent", output(t, "rpm", "-qp", "--qf", "%{NAME}", rpm))
	for provided := range strings.Lines(output(t, "rpm", "-qp", "--provides", rpm)) {
		assert.Regexp(t, `^kata-node-agent\b`, provided)
	}
	for _, relation := range []string{"--conflicts", "--obsoletes"} {
		assert.Empty(t, output(t, "rpm", "-qp", relation, rpm))
	}
	assert.NotContains(t, strings.Fields(output(t, "rpm", "-qpl", rpm)), "/usr/lib/systemd/system/kata-agent.service")
}

func TestTheRPMOwnsNothingThatNodesWrite(t *testing.T) {
	t.Parallel()
	for path := range strings.FieldsSeq(output(t, "rpm", "-qpl", pack(t))) {
		assert.True(t, strings.HasPrefix(path, "/usr/"), "%s: on ostree hosts only /usr comes from packages", path)
		assert.NotContains(t, path, ".build-id")
	}
}

func TestTheRPMCarriesTheBinaryItWasGiven(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("/bin/true")
	require.NoError(t, err)
	path := filepath.Join(installed(t), agentrpm.Agent)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode())
}

func TestTwoBuildsOfTheRPMAreTheSameBytes(t *testing.T) {
	t.Parallel()
	one, err := os.ReadFile(pack(t))
	require.NoError(t, err)
	other, err := os.ReadFile(pack(t))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(one, other))
}

func TestTheRPMIsCleanForRpmlint(t *testing.T) {
	t.Parallel()
	rpm := pack(t)
	need(t, "rpmlint")
	out := output(t, "rpmlint", "-c", "../../../rpmspec/rpmlint.toml", rpm, "../../../rpmspec/kata-node-agent.spec")
	assert.Contains(t, out, "0 errors, 0 warnings")
}

func TestAMissingBinaryIsNamed(t *testing.T) {
	t.Parallel()
	need(t, "make", "rpmbuild")
	_, err := agentrpm.Build(t.Context(), "/nowhere/agent", t.TempDir())
	require.ErrorContains(t, err, "building the RPM")
}

func TestUnpackingWhatIsNoRPMFails(t *testing.T) {
	t.Parallel()
	need(t, "rpm2cpio", "cpio")
	require.ErrorContains(t, agentrpm.Unpack(t.Context(), "/bin/true", t.TempDir()), "reading true")
}

func TestTimesAndHostOfTheRPMComeFromOutside(t *testing.T) {
	t.Parallel()
	need(t, "make", "rpmbuild", "rpm")
	const epoch = "1700000000"
	dir := t.TempDir()
	output(t, "make", "--silent", "-C", "../../..", "rpm", "AGENT_BINARY=/bin/true", "RPM_DIR="+dir, "SOURCE_DATE_EPOCH="+epoch)
	rpms, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	require.NoError(t, err)
	require.Len(t, rpms, 1)
	assert.Equal(t, epoch+" localhost", output(t, "rpm", "-qp", "--qf", "%{BUILDTIME} %{BUILDHOST}", rpms[0]))
	for at := range strings.FieldsSeq(output(t, "rpm", "-qp", "--qf", "[%{FILEMTIMES} ]", rpms[0])) {
		assert.LessOrEqual(t, at, epoch)
	}
}
