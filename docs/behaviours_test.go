// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryBehaviourHasTestsThatExist(t *testing.T) {
	t.Parallel()
	text := documents(t)["behaviours.md"]
	row := regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \|$`)
	name := regexp.MustCompile("`([^`]+)\\.(Test[A-Za-z0-9]+)`")
	known := map[string]map[string]bool{}
	rows := 0
	for _, cells := range row.FindAllStringSubmatch(text, -1) {
		if cells[1] == "Behaviour" {
			continue
		}
		rows++
		tests := name.FindAllStringSubmatch(cells[2], -1)
		assert.Len(t, tests, strings.Count(cells[2], "`")/2, "a row names something that is no test: %s", cells[1])
		assert.NotEmpty(t, tests, cells[1])
		for _, test := range tests {
			if known[test[1]] == nil {
				known[test[1]] = testsIn(t, test[1])
			}
			assert.True(t, known[test[1]][test[2]], "%s has no %s, for: %s", test[1], test[2], cells[1])
		}
	}
	require.Equal(t, rows, strings.Count(text, "\n| ")-strings.Count(text, "\n| Behaviour |"), "a line of a table that cannot be read")
}
