// SPDX-License-Identifier: Apache-2.0

package e2e //nolint:testpackage // Nothing else uses the parts of the list.

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEverySkipHasPatternsAReasonAndAKnownCondition(t *testing.T) {
	t.Parallel()
	list, err := ReadSkipped()
	require.NoError(t, err)
	var seen []string
	for _, s := range slices.Concat(list.Kubernetes, list.Critest) {
		assert.NotEmpty(t, s.Tests, s.Reason)
		assert.Regexp(t, `^[A-Z].*\.$`, s.Reason)
		assert.Contains(t, []Condition{"", Kata}, s.When, s.Reason)
		for _, test := range s.Tests {
			_, err := regexp.Compile(test)
			require.NoError(t, err)
			assert.NotRegexp(t, test, "", "it would leave out every test")
			assert.NotContains(t, seen, test)
			seen = append(seen, test)
		}
	}
}

func TestAConditionDecidesWhetherTestsAreLeftOut(t *testing.T) {
	t.Parallel()
	list := []Skip{{Tests: []string{"a", "b"}}, {Tests: []string{"c"}, When: Kata}}
	assert.Equal(t, "a|b", pattern(applying(list, nil)))
	assert.Equal(t, "a|b|c", pattern(applying(list, []Condition{Kata})))
	assert.Empty(t, pattern(nil))
}

func TestEachPatternHasToMatchATest(t *testing.T) {
	t.Parallel()
	list := []Skip{{Tests: []string{`\[Slow\]`, "renamed"}}, {Tests: []string{"another"}}}
	assert.Equal(t, []string{"renamed"}, stale(list, []string{"[It] a test [Slow]", "another"}))
}

func TestATestIsCountedWithTheFirstReason(t *testing.T) {
	t.Parallel()
	list := []Skip{{Tests: []string{"a", "b"}, Reason: "One."}, {Tests: []string{"b", "c"}, Reason: "Two."}}
	assert.Equal(t, []string{"  2 left out: One.", "  1 left out: Two."}, leftOut(list, []string{"a", "b", "c", "d"}))
}
