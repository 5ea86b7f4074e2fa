// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
)

// constants returns the values of the string constants of a package whose names begin with prefix.
func constants(t *testing.T, dir, prefix string) []string {
	t.Helper()
	var values []string
	each(t, dir, func(n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return
		}
		for i, name := range spec.Names {
			if strings.HasPrefix(name.Name, prefix) && i < len(spec.Values) {
				values = append(values, literal(spec.Values[i])...)
			}
		}
	})
	require.NotEmpty(t, values, "%s has no constant %s…", dir, prefix)
	return values
}

// metrics returns the names of the controller's metrics.
func metrics(t *testing.T) []string {
	t.Helper()
	return append(fields(t, "../controller", "Name"), fields(t, "../cmd/kata-controller", "Name")...)
}

// allMetrics returns those of the agent, too.
func allMetrics(t *testing.T) []string {
	t.Helper()
	return append(metrics(t), fields(t, "../nodeagent/metrics", "Name")...)
}

// fields returns the literals that a package gives to struct fields of a name.
func fields(t *testing.T, dir, name string) []string {
	t.Helper()
	var values []string
	each(t, dir, func(n ast.Node) {
		field, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return
		}
		if key, named := field.Key.(*ast.Ident); named && key.Name == name {
			values = append(values, literal(field.Value)...)
		}
	})
	return values
}

func each(t *testing.T, dir string, visit func(ast.Node)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			visit(n)
			return true
		})
	}
}

func literal(e ast.Expr) []string {
	basic, ok := e.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return nil
	}
	text, err := strconv.Unquote(basic.Value)
	if err != nil {
		return nil
	}
	return []string{text}
}

// everything is the text of all documents.
func everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, text := range documents(t) {
		all.WriteString(text)
	}
	return all.String()
}

func TestEveryReasonEventAndMetricIsDocumented(t *testing.T) {
	t.Parallel()
	text := everything(t)
	for dir, prefix := range map[string]string{"../api/node": "Reason", "../controller/facts": "Reason", "../controller/rollout": "Event", "../controller/apply": "Event"} {
		for _, value := range constants(t, dir, prefix) {
			assert.Contains(t, text, "`"+value+"`", "no document explains %s of %s", value, dir)
		}
	}
	require.NotEmpty(t, metrics(t))
	require.Contains(t, allMetrics(t), "kata_node_agent_payload")
	for _, name := range allMetrics(t) {
		assert.Regexp(t, "`"+name+"[`{]", text)
	}
}

// reasons are what may stand in the first column of a table of reasons.
func reasons(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, value := range append(constants(t, "../api/node", "Reason"), constants(t, "../controller/facts", "Reason")...) {
		known[value] = true
	}
	for _, value := range fields(t, "../nodeagent/report", "Reason") {
		known[value] = true
	}
	for _, phase := range constants(t, "../api/node", "Phase") {
		known[phase] = true
	}
	return known
}

func TestEveryDocumentedReasonEventAndMetricExists(t *testing.T) {
	t.Parallel()
	known := reasons(t)
	row := regexp.MustCompile("(?m)^\\| (`[A-Z][A-Za-z]+`(?:, `[A-Z][A-Za-z]+`)*) \\|")
	word := regexp.MustCompile("`([A-Za-z_]+)")
	for path, text := range documents(t) {
		for _, cell := range row.FindAllStringSubmatch(text, -1) {
			for _, value := range word.FindAllStringSubmatch(cell[1], -1) {
				assert.True(t, known[value[1]], "%s explains %s, which the code does not have", path, value[1])
			}
		}
	}
	text := everything(t)
	events, names := append(constants(t, "../controller/rollout", "Event"), constants(t, "../controller/apply", "Event")...), allMetrics(t)
	for _, value := range regexp.MustCompile("`(Kata(?:Install|Update|Re|Withdraw|Fail)[A-Za-z]*)`").FindAllStringSubmatch(text, -1) {
		assert.Contains(t, events, value[1])
	}
	for _, value := range regexp.MustCompile("`(kata_[a-z_]+)").FindAllStringSubmatch(text, -1) {
		assert.Contains(t, names, value[1])
	}
}

func TestEveryPhaseIsDocumented(t *testing.T) {
	t.Parallel()
	protocol, err := os.ReadFile("protocol.md")
	require.NoError(t, err)
	for _, phase := range constants(t, "../api/node", "Phase") {
		require.NotEmpty(t, node.Phase(phase))
		assert.Contains(t, string(protocol), "| `"+phase+"` |")
	}
}
