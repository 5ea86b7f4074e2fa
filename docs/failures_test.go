// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failure is a row of failures.md.
type failure struct {
	number, here string
	// tests are directory and name of each.
	tests [][]string
}

func failures(t *testing.T) (rows []failure) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	name := regexp.MustCompile("`([^`]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	text := documents(t)["failures.md"]
	for _, cells := range line.FindAllStringSubmatch(text, -1) {
		row := failure{number: cells[1], here: cells[4]}
		for _, found := range name.FindAllStringSubmatch(cells[5], -1) {
			row.tests = append(row.tests, found[1:])
		}
		require.Len(t, row.tests, strings.Count(cells[5], "`")/2, "row %s names something that is no test", row.number)
		rows = append(rows, row)
	}
	require.Len(t, rows, strings.Count(text, "\n| ")-1, "a line of the table that cannot be read")
	return rows
}

// testsIn returns the tests of a directory of the repository.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}

func TestEveryFailureSeenElsewhereHasATestOrIsNotOurs(t *testing.T) {
	t.Parallel()
	rows := failures(t)
	require.NotEmpty(t, rows)
	known := map[string]map[string]bool{}
	for i, row := range rows {
		assert.Equal(t, strconv.Itoa(i+1), row.number, "rows are numbered without a gap")
		assert.Equal(t, strings.HasPrefix(row.here, "not ours: "), len(row.tests) == 0, "row %s has tests, or says why it is not ours", row.number)
		for _, test := range row.tests {
			dir, name := test[0], test[1]
			if known[dir] == nil {
				known[dir] = testsIn(t, dir)
			}
			assert.True(t, known[dir][name], "row %s names %s, which %s does not have", row.number, name, dir)
		}
	}
}
