// SPDX-License-Identifier: Apache-2.0

package ostree_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/ostree"
)

// system is a host whose rpm-ostree is a script: it notes how it was called and answers what the
// test has put into files.
type system struct {
	*ostree.System
	root string
	now  time.Time
}

const script = `#!/bin/sh
root=${0%/usr/bin/rpm-ostree}
echo "$*" >>"$root/calls"
env >"$root/env"
if [ "$1" = status ]; then
	[ ! -e "$root/mute" ] || { echo "error: Couldn't start daemon" >&2; exit 1; }
	cat "$root/status"
	exit
fi
if [ -e "$root/hold" ]; then read -r go <"$root/hold"; echo done >"$root/ended"; fi
[ -e "$root/says" ] || exit 0
cat "$root/says" >&2
exit 1
`

func newSystem(t *testing.T, fixture string) *system {
	t.Helper()
	root := t.TempDir()
	s := &system{ostree.Below(root), root, time.Unix(1e9, 0)}
	s.Now = func() time.Time { return s.now }
	s.Environment = func() []string {
		return []string{"PATH=" + os.Getenv("PATH"), "HTTPS_PROXY=http://proxy", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/x", "LANG=xx"}
	}
	s.write(t, "run/ostree-booted", "")
	s.write(t, "ostree/deploy/x", "")
	hosttest.Program(t, filepath.Join(root, "usr/bin/rpm-ostree"), []byte(script))
	s.show(t, fixture)
	return s
}

func (s *system) write(t *testing.T, name, content string) {
	t.Helper()
	file := filepath.Join(s.root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
}

// show makes a document the status.
func (s *system) show(t *testing.T, fixture string) {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("testdata", fixture+".json"))
	require.NoError(t, err)
	s.write(t, "status", string(document))
}

func (s *system) calls(t *testing.T) []string {
	t.Helper()
	calls, err := os.ReadFile(filepath.Join(s.root, "calls"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(calls)), "\n")
}

func class(t *testing.T, err error) host.OstreeClass {
	t.Helper()
	said, ok := errors.AsType[*host.OstreeError](err)
	require.True(t, ok, "%v", err)
	return said.Class
}

func TestAHostWithoutOstreeIsNotAsked(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	require.NoError(t, os.Remove(filepath.Join(s.root, "run/ostree-booted")))
	o, err := s.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, host.OSTree{}, o)
	line, err := s.Unfinalized(t.Context())
	require.NoError(t, err)
	assert.Empty(t, line)
	assert.Empty(t, s.calls(t))
}

// Proxies and the bus's address reach rpm-ostree, and so does the name of the client.
func TestTheEnvironmentReachesRpmOstree(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	_, err := s.Status(t.Context())
	require.NoError(t, err)
	env, err := os.ReadFile(filepath.Join(s.root, "env"))
	require.NoError(t, err)
	for _, line := range []string{"RPMOSTREE_CLIENT_ID=kata-node-agent", "HTTPS_PROXY=http://proxy", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/x", "LC_ALL=C.UTF-8", "PATH="} {
		assert.Contains(t, "\n"+string(env), "\n"+line)
	}
}

// systemd refuses to start the daemon many times in a short while.
func TestTheStatusIsAskedForWhereSomethingMayHaveChanged(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	asked := func() int {
		_, err := s.Status(t.Context())
		require.NoError(t, err)
		return len(s.calls(t))
	}
	assert.Equal(t, 1, asked())
	s.now = s.now.Add(4 * time.Minute)
	assert.Equal(t, 1, asked(), "nothing has changed on disk")
	require.NoError(t, os.Chtimes(filepath.Join(s.root, "ostree/deploy"), time.Time{}, time.Unix(5, 0)))
	assert.Equal(t, 2, asked(), "a deployment has come or gone")
	s.show(t, "rhcos-transaction-active")
	s.now = s.now.Add(5 * time.Minute)
	assert.Equal(t, 3, asked(), "too old")
	s.now = s.now.Add(9 * time.Second)
	assert.Equal(t, 3, asked())
	s.now = s.now.Add(time.Second)
	assert.Equal(t, 4, asked(), "a transaction leaves no trace before it ends")
	require.Error(t, s.Layer(t.Context(), host.Layering{Install: []string{"/a.rpm"}}))
	s.show(t, "rhcos-clean")
	assert.Equal(t, 6, asked(), "an own change")
}

func TestADaemonThatDoesNotStartIsNotStartedForEachLook(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	s.write(t, "mute", "")
	for range 20 {
		_, err := s.Status(t.Context())
		assert.Equal(t, host.OstreeCrashed, class(t, err))
	}
	assert.Len(t, s.calls(t), 1)
	require.NoError(t, os.Remove(filepath.Join(s.root, "mute")))
	s.now = s.now.Add(10 * time.Second)
	o, err := s.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, o.Exists)
	assert.Len(t, s.calls(t), 2)

	ctx, end := context.WithCancel(t.Context())
	end()
	s.now = s.now.Add(time.Hour)
	_, err = s.Status(ctx)
	require.Error(t, err)
	_, err = s.Status(t.Context())
	require.NoError(t, err, "that a caller gave up says nothing of the daemon")
}

// A deployment that could not be finalized leaves no trace but its journal.
func TestWhyAShutdownDidNotFinalizeIsInTheJournalOfThatBoot(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	unfinalized := func() string {
		line, err := s.Unfinalized(t.Context())
		require.NoError(t, err)
		return line
	}
	assert.Empty(t, unfinalized(), "a host without journalctl")
	hosttest.Program(t, filepath.Join(s.root, "usr/bin/journalctl"), []byte(`#!/bin/sh
root=${0%/usr/bin/journalctl}
echo "$*" >"$root/asked"
[ -e "$root/journal" ] || { echo "Specifying boot ID or boot offset has no effect, no persistent journal was found." >&2; exit 1; }
cat "$root/journal"
`))
	assert.Empty(t, unfinalized(), "a host that keeps no journal of earlier boots")
	asked, err := os.ReadFile(filepath.Join(s.root, "asked"))
	require.NoError(t, err)
	assert.Equal(t, "--boot=-1 --output=cat --quiet _UID=0 --unit=ostree-finalize-staged.service\n", string(asked))
	s.write(t, "journal", "Finalizing staged deployment\nerror: Installing kernel: regfile copy: No space left on device\nerror: later\n")
	assert.Equal(t, "error: Installing kernel: regfile copy: No space left on device", unfinalized())
	s.write(t, "journal", "Finalizing staged deployment\nBootloader updated\n")
	assert.Empty(t, unfinalized())
}

func TestABootcHostIsKnownAsSuch(t *testing.T) {
	t.Parallel()
	for says, prepare := range map[string]func(s *system){
		"": func(s *system) { s.write(t, "usr/lib/os-release", "ID=rhcos\nVARIANT_ID=coreos\n") },
		"it was made from a container image and is no CoreOS": func(s *system) { s.write(t, "usr/lib/os-release", "ID=centos\n") },
		"bootc-fetch-apply-updates.timer is enabled": func(s *system) {
			s.write(t, "usr/lib/os-release", "VARIANT_ID=coreos\n")
			s.write(t, "etc/systemd/system/timers.target.wants/bootc-fetch-apply-updates.timer", "")
		},
		"it has bootc and no rpm-ostree": func(s *system) { require.NoError(t, os.Remove(filepath.Join(s.root, "usr/bin/rpm-ostree"))) },
	} {
		s := newSystem(t, "rhcos-clean")
		s.write(t, "usr/bin/bootc", "")
		prepare(s)
		o, err := s.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, says, o.Bootc)
	}
}

func TestAnUpgradeOfALocalPackageIsOneTransaction(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	require.NoError(t, s.Layer(t.Context(), host.Layering{Install: []string{"/m/a-2.rpm", "/m/b-1.rpm"}, Uninstall: []string{"a"}}))
	require.NoError(t, s.Layer(t.Context(), host.Layering{Uninstall: []string{"a", "b"}}))
	require.NoError(t, s.Layer(t.Context(), host.Layering{}))
	require.NoError(t, s.ApplyLive(t.Context()))
	assert.Equal(t, []string{
		"status --json", "install -y --idempotent /m/a-2.rpm /m/b-1.rpm --uninstall=a",
		"status --json", "uninstall -y --idempotent a b",
		"status --json", "apply-live",
	}, s.calls(t), "and nothing is called without anything to do")
}

func TestNothingIsChangedWhileAnotherTransactionRunsOrAnUpdateIsLocked(t *testing.T) {
	t.Parallel()
	for fixture, says := range map[string]string{
		"rhcos-transaction-active":   "rpm-ostree works on rebase for :1.512",
		"fcos-zincati-staged-locked": "a staged update waits for Zincati",
	} {
		s := newSystem(t, fixture)
		err := s.Layer(t.Context(), host.Layering{Install: []string{"/a.rpm"}})
		require.ErrorContains(t, err, says)
		assert.Equal(t, host.OstreeBusy, class(t, err))
		assert.Equal(t, host.OstreeBusy, class(t, s.ApplyLive(t.Context())))
		assert.Equal(t, []string{"status --json", "status --json"}, s.calls(t), "foreign work is never cancelled or cleaned up")
	}
}

func TestAnswersAreClassified(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]host.OstreeClass{
		"error: Updating deployment: GDBus.Error:org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code26: Transaction in progress: upgrade\n You can cancel the current transaction with `rpm-ostree cancel`": host.OstreeBusy,
		"error: System transaction in progress":                                                             host.OstreeBusy,
		"error: Reboot initiated, cannot start new transaction":                                             host.OstreeBusy,
		"error: Bus owner changed, aborting. This likely means the daemon crashed; check logs":              host.OstreeCrashed,
		"error: Packages not found: kata-containers":                                                        host.OstreeNotFound,
		"error: No enabled repositories":                                                                    host.OstreeNotFound,
		"error: Could not depsolve transaction; 1 problem detected:\n Problem: conflicting requests":        host.OstreeDepsolve,
		"error: Could not depsolve transaction; 1 problem detected:\n Problem: cannot install both a and b": host.OstreeConflict,
		"error: Forbidden base package replacements:\n  glibc 2 -> 1":                                       host.OstreeConflict,
		"error: Checkout a-1.x86_64: Hardlinking x: File exists":                                            host.OstreeConflict,
		"error: Layering disabled: LockLayering=true":                                                       host.OstreeLocked,
		"error: cannot update repo 'x': Curl error (6): Couldn't resolve host name":                         host.OstreeNetwork,
		"error: writing object: No space left on device":                                                    host.OstreeFull,
		"error: packages would be changed: 1, allow replacement to override":                                host.OstreeLiveRefused,
		"error: Previously interrupted while targeting commit a, cannot change target to b":                 host.OstreeLiveRefused,
		"error: something new": host.OstreeOther,
	} {
		s := newSystem(t, "rhcos-clean")
		s.write(t, "says", text)
		err := s.Layer(t.Context(), host.Layering{Install: []string{"/a.rpm"}})
		require.Error(t, err)
		assert.Equal(t, want, class(t, err), text)
		assert.NotContains(t, err.Error(), "rpm-ostree cancel", "the error must not advise to cancel a foreign transaction")
		assert.NotContains(t, err.Error(), "error: ")
	}
}

func TestWhatIsThereAlreadyIsNoError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"error: Package 'a' is already in the base",
		`error: "a" is already provided by: b-1.x86_64. Use --allow-inactive to explicitly require it.`,
		"error: Package/capability 'a' is already requested",
		"error: Package/capability 'a' is not currently requested",
	} {
		s := newSystem(t, "rhcos-clean")
		s.write(t, "says", text)
		require.NoError(t, s.Layer(t.Context(), host.Layering{Install: []string{"/a.rpm"}}), text)
	}
}

// rpm-ostree's daemon goes on without its client: what was begun is left to end.
func TestACallerThatGivesUpEndsNoTransaction(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "rhcos-clean")
	pipe := filepath.Join(s.root, "hold")
	makePipe(t, pipe)
	ctx, end := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() { answered <- s.Layer(ctx, host.Layering{Install: []string{"/a.rpm"}}) }()
	gate, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the script reads
	require.NoError(t, err)
	end()
	require.ErrorIs(t, <-answered, context.Canceled)
	s.show(t, "rhcos-transaction-active")
	assert.Equal(t, host.OstreeBusy, class(t, s.Layer(t.Context(), host.Layering{Install: []string{"/a.rpm"}})), "the next status tells what became of it")
	assert.Equal(t, []string{"status --json", "install -y --idempotent /a.rpm", "status --json"}, s.calls(t), "nothing is installed twice")
	_, err = gate.WriteString("go\n")
	require.NoError(t, err)
	require.NoError(t, gate.Close())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(s.root, "ended"))
		return err == nil
	}, time.Minute, time.Millisecond)
}
