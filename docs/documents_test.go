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
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// documents returns every document by its path from here.
func documents(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.md")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	texts := map[string]string{}
	for _, path := range append(paths, "../README.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[path] = string(text)
	}
	return texts
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	for path, text := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target := path
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(path), found[1])
			}
			content, err := os.ReadFile(target)
			require.NoError(t, err, "a link in %s", path)
			if found[2] != "" {
				assert.Contains(t, anchors(string(content)), found[2], "a link in %s to %s", path, target)
			}
		}
	}
}

// anchors are the names that GitHub gives to headings.
func anchors(text string) []string {
	var names []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		names = append(names, "#"+strings.ReplaceAll(strings.TrimSpace(plain), " ", "-"))
	}
	return names
}

func TestEveryMakeCommandInTheDocumentsExists(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	for path, text := range documents(t) {
		for _, command := range regexp.MustCompile("(?m)(?:^ *|`)make ([a-z0-9-]+)").FindAllStringSubmatch(text, -1) {
			assert.Regexp(t, `(?m)^`+command[1]+`:`, string(makefile), "a command in %s", path)
		}
	}
}

// kinds returns the values of plan's steps, read from its source so that none can be forgotten.
func kinds(t *testing.T) []plan.Kind {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../nodeagent/plan/step.go", nil, 0)
	require.NoError(t, err)
	var out []plan.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if kind, named := identifier(spec, ok); !named || kind != "Kind" {
			return true
		}
		for _, value := range spec.Values {
			if literal, ok := value.(*ast.BasicLit); ok {
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				out = append(out, plan.Kind(text))
			}
		}
		return true
	})
	require.Contains(t, out, plan.Prove)
	return out
}

func identifier(spec *ast.ValueSpec, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	name, named := spec.Type.(*ast.Ident)
	if !named {
		return "", false
	}
	return name.Name, true
}

func TestEveryErrorOfAStepIsExplained(t *testing.T) {
	t.Parallel()
	operations := documents(t)["operations.md"]
	for _, kind := range kinds(t) {
		require.NotEmpty(t, report.Reason(kind), "%s", kind)
		assert.Contains(t, operations, "`"+report.Reason(kind)+"`", "of %s", kind)
	}
}

func TestTheExamplesOfTheProtocolAreRead(t *testing.T) {
	t.Parallel()
	protocol := documents(t)["protocol.md"]
	examples := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindAllStringSubmatch(protocol, -1)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		var err error
		switch {
		case strings.Contains(example[1], `"state"`):
			_, err = node.DecodeIntent(example[1])
		case strings.Contains(example[1], `"nodeVersion"`):
			entries := ledger.Of(&corev1.ConfigMap{Data: map[string]string{"w": example[1]}}).Entries
			assert.NotEmpty(t, entries["w"].Version)
		default:
			_, err = node.DecodeReport(example[1])
		}
		require.NoError(t, err, example[1])
	}
	for _, phase := range []node.Phase{node.PhaseIdle, node.PhaseInstalling, node.PhaseAwaitingGrant, node.PhaseInstalled, node.PhaseRemoving, node.PhaseBlocked, node.PhaseAbsent} {
		assert.Contains(t, protocol, "| `"+string(phase)+"` |")
	}
}

func TestTheDropInOfTheProtocolIsWhatTheAgentWrites(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile("(?s)```toml\n(.*?)…\n```").FindStringSubmatch(documents(t)["protocol.md"])
	require.Len(t, example, 2)
	content, err := handlers.DropIn()
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(content), example[1]), "the document has\n%s\nthe agent writes\n%s", example[1], content)
}

func TestEveryItemOfTheHostCheckIsExplained(t *testing.T) {
	t.Parallel()
	operations := documents(t)["operations.md"]
	_, table, _ := strings.Cut(operations, "### Host check")
	table, _, _ = strings.Cut(table, "## By symptom")
	for _, item := range check.Items(check.Facts{}) {
		assert.Contains(t, table, "`"+item.Name+"`")
	}
	assert.Contains(t, table, "`"+host.ModulesFile+"`")
}

// The error of a node names the MachineConfig, and the document has it.
func TestTheMachineConfigOfTheExtensionIsTheOneThatNodesName(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile("(?s)```yaml\n(apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\n.*?)```").FindStringSubmatch(documents(t)["operations.md"])
	require.Len(t, example, 2)
	assert.Equal(t, packages.MachineConfig("worker"), example[1])
}
