// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
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
	before := s.requests()
	require.NotEmpty(t, before, "the log has the agent's requests")
	// What is tested is that nothing happens, so that there is nothing to wait for.
	<-time.After(time.Minute)
	var verbs []string
	for _, verb := range s.requests()[len(before):] {
		if verb != "watch" {
			verbs = append(verbs, verb)
		}
	}
	assert.Empty(t, verbs, "requests other than watches")
	assert.LessOrEqual(t, len(s.requests())-len(before), watches)
}

// requests are the verbs of what the agent has asked the API server for.
func (s *subject) requests() []string {
	s.t.Helper()
	all, err := s.node.Requests()
	require.NoError(s.t, err)
	var verbs []string
	for _, r := range all {
		if r.UserAgent == "kata-agent" {
			verbs = append(verbs, r.Verb)
		}
	}
	return verbs
}
