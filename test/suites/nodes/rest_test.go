// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
