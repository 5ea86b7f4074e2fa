// SPDX-License-Identifier: Apache-2.0

package machineconfig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// host is a root for the pull script, with programs that note how they were called.
type host struct {
	t    *testing.T
	root string
}

// podman hands out an agent that is a shell script printing its digest; it fails where there is no
// network.
const podman = `#!/bin/sh
echo "podman $*" >>"$CALLS"
[ ! -e "$KATA_ROOT/no-network" ] || { echo "no route to host" >&2; exit 125; }
case $1 in
create) echo container; for last; do [ "$last" = run ] || echo "${last##*:}" >"$KATA_ROOT/served"; done ;;
cp) printf '#!/bin/sh\necho %s\n' "$(cat "$KATA_ROOT/served")" >"$3" ;;
esac
`

const noting = `#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
`

// counting is a systemctl that knows how often the agent that is current was started again, and its
// state.
const counting = noting + `case $1$2 in
show*NRestarts) cat "$KATA_ROOT/var/lib/kata-agent/bin/current/restarts" 2>/dev/null || echo 0 ;;
show*ActiveState) cat "$KATA_ROOT/var/lib/kata-agent/bin/current/state" 2>/dev/null || echo active ;;
esac
`

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, root: t.TempDir()}
	h.write("bin/podman", podman)
	for _, name := range []string{"selinuxenabled", "chcon", "sleep"} {
		h.write("bin/"+name, noting)
	}
	h.write("bin/systemctl", counting)
	conf, err := os.ReadFile(filepath.Join(root, "ignition/tmpfiles.conf"))
	require.NoError(t, err)
	h.write("etc/tmpfiles.d/kata-node-agent.conf", string(conf))
	if _, err := exec.LookPath("systemd-tmpfiles"); err != nil {
		h.write("bin/systemd-tmpfiles", noting)
	}
	return h
}

// newHostWithAgent has pulled agent aa.
func newHostWithAgent(t *testing.T) *host {
	t.Helper()
	h := newHost(t)
	_, err := h.pull("aa")
	require.NoError(t, err)
	return h
}

func (h *host) write(name, content string) {
	h.t.Helper()
	path := filepath.Join(h.root, name)
	require.NoError(h.t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(h.t, os.WriteFile(path, []byte(content), 0o700))
}

// pull runs the script and returns which commands it ran.
func (h *host) pull(digest string) (string, error) {
	h.t.Helper()
	calls := filepath.Join(h.root, "calls")
	require.NoError(h.t, os.RemoveAll(calls))
	cmd := exec.CommandContext(h.t.Context(), "sh", filepath.Join(root, "ignition/pull-agent"), "registry.example/agent@sha256:"+digest)
	cmd.Env = []string{"PATH=" + h.root + "/bin:" + os.Getenv("PATH"), "KATA_ROOT=" + h.root, "CALLS=" + calls}
	out, err := cmd.CombinedOutput()
	h.t.Logf("%s", out)
	log, readErr := os.ReadFile(calls)
	if !os.IsNotExist(readErr) {
		require.NoError(h.t, readErr)
	}
	return string(log), err
}

func (h *host) link(name string) string {
	h.t.Helper()
	target, err := os.Readlink(filepath.Join(h.root, "var/lib/kata-agent/bin", name))
	require.NoError(h.t, err)
	return target
}

func (h *host) kept() []string {
	h.t.Helper()
	found, err := filepath.Glob(filepath.Join(h.root, "var/lib/kata-agent/bin/*/kata-node-agent"))
	require.NoError(h.t, err)
	var names []string
	for _, f := range found {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}

func TestTheAgentIsPulledLabelledAndStarted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	calls, err := h.pull("aa")
	require.NoError(t, err)
	assert.Equal(t, "aa", h.link("current"))
	assert.Contains(t, calls, "podman pull --quiet registry.example/agent@sha256:aa\n")
	label, restart := strings.Index(calls, "chcon -t bin_t"), strings.Index(calls, "systemctl --no-block restart kata-node-agent.service")
	assert.Positive(t, label)
	assert.Greater(t, restart, label, "labelled before it runs")
	out, err := exec.CommandContext(t.Context(), filepath.Join(h.root, "var/lib/kata-agent/bin/current/kata-node-agent")).Output()
	require.NoError(t, err)
	assert.Equal(t, "aa\n", string(out))
}

func TestThePullSecretOfTheKubeletIsUsedWhereThereIsOne(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("var/lib/kubelet/config.json", "{}")
	calls, err := h.pull("aa")
	require.NoError(t, err)
	assert.Contains(t, calls, "--authfile "+h.root+"/var/lib/kubelet/config.json registry.example")
}

func TestNoNetworkIsNeededWhenTheDigestIsThere(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	h.write("no-network", "")
	calls, err := h.pull("aa")
	require.NoError(t, err)
	assert.NotContains(t, calls, "podman")
	assert.Contains(t, calls, "systemctl --no-block start kata-node-agent.service", "an agent that runs is left alone")
}

func TestAFailedPullLeavesTheAgentThatIsThere(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	h.write("no-network", "")
	calls, err := h.pull("bb")
	require.Error(t, err)
	assert.NotContains(t, calls, "systemctl")
	assert.Equal(t, "aa", h.link("current"))
}

func TestTheBinaryBeforeIsKeptAndOlderOnesGo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, digest := range []string{"aa", "bb", "cc"} {
		_, err := h.pull(digest)
		require.NoError(t, err)
	}
	assert.Equal(t, "cc", h.link("current"))
	assert.Equal(t, "bb", h.link("previous"))
	assert.ElementsMatch(t, []string{"bb", "cc", "current", "previous"}, h.kept())

	h.write("no-network", "")
	_, err := h.pull("bb")
	require.NoError(t, err, "going back needs no network")
	assert.Equal(t, "bb", h.link("current"))
	assert.Equal(t, "cc", h.link("previous"))
}

func TestWhatAKilledPullLeftIsNotTakenForAnAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("var/lib/kata-agent/bin/.incoming/kata-node-agent", "half")
	h.write("var/lib/kata-agent/bin/aa/other", "")
	_, err := h.pull("aa")
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), filepath.Join(h.root, "var/lib/kata-agent/bin/aa/kata-node-agent")).Output()
	require.NoError(t, err)
	assert.Equal(t, "aa\n", string(out))
	assert.NoDirExists(t, filepath.Join(h.root, "var/lib/kata-agent/bin/.incoming"))
}

// knows makes systemctl know something of the agent of a digest, once it is there.
func (h *host) knows(digest, property, value string) {
	h.t.Helper()
	dir := `"$KATA_ROOT/var/lib/kata-agent/bin/` + digest + `"`
	h.write("bin/chcon", noting+"mkdir -p "+dir+"\necho "+value+" >"+dir+"/"+property+"\n")
}

// dies makes the agent of a digest one that is started again and again.
func (h *host) dies(digest, times string) {
	h.t.Helper()
	h.knows(digest, "restarts", times)
}

func TestAnAgentThatDiesAtOnceGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	h.dies("bb", "25")
	calls, err := h.pull("bb")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 78, exit.ExitCode(), "RestartPreventExitStatus= of the unit")
	assert.Equal(t, "aa", h.link("current"))
	assert.Equal(t, 2, strings.Count(calls, "systemctl --no-block restart kata-node-agent.service"))

	calls, err = h.pull("bb")
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 78, exit.ExitCode())
	assert.Empty(t, calls, "it is not tried again")
	assert.Equal(t, "aa", h.link("current"))
	_, err = h.pull("cc")
	require.NoError(t, err)
	assert.Equal(t, "cc", h.link("current"))
}

func TestAnAgentThatIsSlowOnABusyNodeStays(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	h.dies("bb", "4")
	_, err := h.pull("bb")
	require.NoError(t, err)
	assert.Equal(t, "bb", h.link("current"))
}

func TestAnAgentThatDoesNotComeUpGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	h.knows("bb", "state", "activating")
	calls, err := h.pull("bb")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 78, exit.ExitCode())
	assert.Equal(t, "aa", h.link("current"))
	assert.Equal(t, 11, strings.Count(calls, "sleep 30"), "a slow disk has its time")
}

func TestATrialThatAPowerCutInterruptsBeginsAnew(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	h.dies("bb", "25")
	h.write("bin/sleep", "#!/bin/sh\nkill -KILL $PPID\n")
	_, err := h.pull("bb")
	require.Error(t, err)
	assert.Equal(t, "bb", h.link("current"))
	h.write("bin/sleep", noting)
	_, err = h.pull("bb")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 78, exit.ExitCode())
	assert.Equal(t, "aa", h.link("current"))
}

func TestAnAgentThatWasAcceptedIsNotTriedAtEveryBoot(t *testing.T) {
	t.Parallel()
	h := newHostWithAgent(t)
	_, err := h.pull("bb")
	require.NoError(t, err)
	calls, err := h.pull("bb")
	require.NoError(t, err)
	assert.NotContains(t, calls, "sleep")

	calls, err = h.pull("aa")
	require.NoError(t, err)
	assert.Contains(t, calls, "sleep", "each update is tried, also one back")
}

func TestTheFirstAgentHasNothingToGoBackTo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.dies("aa", "25")
	calls, err := h.pull("aa")
	require.NoError(t, err)
	assert.Equal(t, "aa", h.link("current"))
	assert.NotContains(t, calls, "sleep")
}
