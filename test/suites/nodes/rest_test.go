// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
)

// watches are those that the agent keeps: its Node, its pods, the RuntimeClasses. Each may end
// within the time of a test and begin anew.
const watches = 3

func TestAnAgentAtRestAsksTheAPIServerForNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "rest")
	s.install()
	require.NotEmpty(t, s.requests(), "the log has the agent's requests")
	// What is tested is that nothing happens, so there is nothing to wait for. The first minute may
	// have the end of the installation in it.
	var during []string
	for range 3 {
		before := len(s.requests())
		<-time.After(time.Minute)
		if during = s.requests()[before:]; len(during) <= watches && onlyWatches(during) {
			return
		}
	}
	assert.Fail(t, "the agent does not come to rest", "in the last minute: %v", during)
}

const (
	// mostResident is what an agent at rest may have in memory (VmRSS), its program included, in
	// kB.
	mostResident = 30 << 10
	// busySeconds is in how many seconds of a minute it may run: the watchdog takes four, and the
	// observation of each minute up to two. The rest is for a busy machine.
	busySeconds = 10
)

func TestAnAgentAtRestIsSmallWritesNothingAndSleeps(t *testing.T) {
	t.Parallel()
	program, err := sharedCluster(t).cluster.BuildAgent(t.Context(), "0.1.0")
	require.NoError(t, err)
	s := newStandaloneWith(t, "small", bed.NodeOptions{Programs: map[string]string{agent: program}})
	s.intend(s.installing(s.one))
	s.awaitInstalled(s.one)
	pid := s.mainPID(agentUnit)
	// What is tested is that nothing happens, so there is nothing to wait for.
	var resident, written, busy int
	for range 4 {
		written, busy = s.watchRest(pid)
		resident = s.statistic(pid, "status", "VmRSS:")
		t.Logf("%d kB resident, %d of them not of the program, %d bytes written, %d seconds with any work", resident, s.statistic(pid, "status", "RssAnon:"), written, busy)
		if resident <= mostResident && written == 0 && busy <= busySeconds {
			return
		}
	}
	assert.LessOrEqual(t, resident, mostResident, "kB resident")
	assert.Zero(t, written, "bytes written")
	assert.LessOrEqual(t, busy, busySeconds, "seconds with any work")
}

// watchRest looks once a second, for a minute and from outside. It returns how many bytes the agent
// has written meanwhile, and in how many seconds it ran.
func (s *subject) watchRest(pid int) (written, busy int) {
	s.t.Helper()
	const switches = "voluntary_ctxt_switches:"
	before, last := s.statistic(pid, "io", "write_bytes:"), s.statistic(pid, "task/*/status", switches)
	for range 60 {
		<-time.After(time.Second)
		now := s.statistic(pid, "task/*/status", switches)
		if now != last {
			busy++
		}
		last = now
	}
	return s.statistic(pid, "io", "write_bytes:") - before, busy
}

// statistic is the sum of a line of files in a process' directory of proc(5), which are read
// without starting a process on the node.
func (s *subject) statistic(pid int, files, line string) (sum int) {
	s.t.Helper()
	names, err := filepath.Glob(s.node.Live(s.t.Context()) + "/proc/" + strconv.Itoa(pid) + "/" + files)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, names)
	for _, name := range names {
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // A thread that has ended.
		}
		require.NoError(s.t, err)
		_, value, found := strings.Cut("\n"+string(content), "\n"+line)
		require.True(s.t, found, "%s of %s", line, name)
		count := 0
		_, err = fmt.Sscan(value, &count)
		require.NoError(s.t, err)
		sum += count
	}
	return sum
}

const (
	// others is how many processes a node has that have nothing to do with Kata.
	others = 500
	// looksAMinute is more than an agent needs that an older payload keeps waiting: it looks every
	// half minute, and reads the state of each process in two calls.
	looksAMinute = 10
)

func TestAnOlderPayloadInUseCostsFewReads(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "held")
	s.install()
	s.runPod("old")
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	require.Len(t, s.payloadMounts(), 2)
	s.run("systemd-run", "--unit=others", "sh", "-c", fmt.Sprintf("for i in $(seq %d); do sleep infinity & done; wait", others))
	// What is tested is that little happens. The first minutes may have the end of the update and
	// the first looks at new processes in them.
	reads := 0
	for range 4 {
		before := s.reads()
		<-time.After(time.Minute)
		if reads = s.reads() - before; reads < looksAMinute*2*others {
			return
		}
	}
	assert.Fail(t, "the agent does not come to rest", "it has made %d reads in the last minute", reads)
}

// reads is how many calls of read the agent's process has made, see proc_pid_io(5).
func (s *subject) reads() int {
	s.t.Helper()
	counters := s.run("cat", fmt.Sprintf("/proc/%d/io", s.mainPID(agentUnit)))
	_, count, _ := strings.Cut(counters, "syscr: ")
	count, _, _ = strings.Cut(count, "\n")
	reads, err := strconv.Atoi(count)
	require.NoError(s.t, err, counters)
	return reads
}

func onlyWatches(verbs []string) bool {
	return !slices.ContainsFunc(verbs, func(verb string) bool { return verb != "watch" })
}

// requests are the verbs of what the agent has asked the API server for, but for its trials of the
// admission policies. Those are hours apart, but the first one, which has to wait for the Node, may
// come at any moment.
func (s *subject) requests() []string {
	s.t.Helper()
	all, err := s.node.Requests()
	require.NoError(s.t, err)
	var verbs []string
	for _, r := range all {
		if r.UserAgent == "kata-agent" && !strings.Contains(r.RequestURI, "dryRun=") {
			verbs = append(verbs, r.Verb)
		}
	}
	return verbs
}
