// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"slices"
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
