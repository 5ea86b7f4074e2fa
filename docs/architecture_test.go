// SPDX-License-Identifier: Apache-2.0

// Package docs_test holds the drawing in architecture.md against the code.
package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/kata-node/kata-node/"

// arrows are imports among our own packages, by importing package.
type arrows map[string][]string

// drawn reads the block of architecture.md that is fenced as imports.
func drawn(t *testing.T) arrows {
	t.Helper()
	text, err := os.ReadFile("architecture.md")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(text), "```imports\n")
	require.True(t, found, "architecture.md has a block fenced as imports")
	block, _, _ = strings.Cut(block, "```")
	drawing := arrows{}
	for line := range strings.Lines(block) {
		if from, to, ok := strings.Cut(line, "->"); ok {
			from = strings.TrimSpace(from)
			require.NotContains(t, drawing, from, "one line for each package")
			drawing[from] = strings.Fields(to)
		}
	}
	return drawing
}

// written reads the imports of every package outside cmd/. It parses the files itself: what a
// subprocess reads would not end Go's caching of this test.
func written(t *testing.T) arrows {
	t.Helper()
	code := arrows{}
	root := os.DirFS("..")
	require.NoError(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, name)
		}
		if from := path.Dir(name); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			code[from] = append(code[from], imports(t, root, name)...)
		}
		return nil
	}))
	require.NotEmpty(t, code)
	return code
}

// skip leaves out other modules, cmd/ and what Go does not look at.
func skip(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil || dir == "cmd" || base == "testdata" || strings.HasPrefix(base, ".") {
		return fs.SkipDir
	}
	return nil
}

// imports returns which of our packages a file imports.
func imports(t *testing.T, root fs.FS, name string) (ours []string) {
	t.Helper()
	source, err := fs.ReadFile(root, name)
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	require.NoError(t, err)
	for _, spec := range file.Imports {
		quoted, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		if to, ok := strings.CutPrefix(quoted, module); ok {
			ours = append(ours, to)
		}
	}
	return ours
}

func TestTheDrawingIsTheCode(t *testing.T) {
	t.Parallel()
	drawing, code := drawn(t), written(t)
	for from, imports := range code {
		allowed, known := drawing[from]
		if !assert.True(t, known, "%s is not drawn: give it a line in architecture.md", from) {
			continue
		}
		for _, to := range imports {
			assert.Contains(t, allowed, to, "%s imports %s against the drawing", from, to)
		}
		for _, to := range allowed {
			assert.Contains(t, imports, to, "the drawing has an arrow from %s to %s that the code has not", from, to)
		}
	}
	for from := range drawing {
		assert.Contains(t, code, from, "%s is drawn and does not exist", from)
	}
}

// reach follows the arrows from a package to everything it depends on.
func (a arrows) reach(from string, seen map[string]bool) map[string]bool {
	for _, to := range a[from] {
		if !seen[to] {
			seen[to] = true
			a.reach(to, seen)
		}
	}
	return seen
}

func TestTheTwoHalvesMeetOnlyInAPI(t *testing.T) {
	t.Parallel()
	drawing := drawn(t)
	for from := range drawing {
		half, _, _ := strings.Cut(from, "/")
		for to := range drawing.reach(from, map[string]bool{}) {
			other, _, _ := strings.Cut(to, "/")
			assert.False(t, half == "nodeagent" && other == "controller", "%s reaches %s", from, to)
			assert.False(t, half == "controller" && (other == "nodeagent" || other == "payload" && to != "payload/catalog"), "%s reaches %s", from, to)
			assert.False(t, half == "api" && other != half && other != "internal", "%s reaches %s", from, to)
			assert.False(t, half == "payload" && other != half && other != "internal" && to != "api/node", "%s reaches %s", from, to)
		}
	}
}

func TestDecisionsReachNoEffect(t *testing.T) {
	t.Parallel()
	drawing := drawn(t)
	effects := []string{"nodeagent/host/", "nodeagent/nodeclient", "nodeagent/step", "controller/apply", "payload/transport"}
	for _, decision := range []string{"nodeagent/plan", "nodeagent/report", "controller/release", "controller/selection", "controller/rollout", "controller/status", "controller/runtimeclass"} {
		require.Contains(t, drawing, decision)
		for to := range drawing.reach(decision, map[string]bool{}) {
			for _, effect := range effects {
				assert.False(t, strings.HasPrefix(to, effect), "%s reaches %s", decision, to)
			}
		}
	}
}

// seam decorates any host and is no adapter.
const seam = "nodeagent/host/seam"

func TestNoAdapterKnowsAnother(t *testing.T) {
	t.Parallel()
	for from, imports := range drawn(t) {
		if strings.HasPrefix(from, "nodeagent/host/") {
			for _, to := range imports {
				assert.False(t, to != seam && strings.HasPrefix(to, "nodeagent/host/"), "%s imports %s", from, to)
			}
		}
	}
}
