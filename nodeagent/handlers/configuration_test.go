// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
	"os"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/handlers"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return content
}

// laid lays fragments over a base and returns what Kata will read.
func laid(t *testing.T, base string, fragments ...string) map[string]any {
	t.Helper()
	content, err := handlers.Render([]byte(base), named(fragments...))
	require.NoError(t, err)
	config := map[string]any{}
	require.NoError(t, toml.Unmarshal(content, &config))
	return config
}

func named(contents ...string) []handlers.Fragment {
	var fragments []handlers.Fragment
	for i, content := range contents {
		fragments = append(fragments, handlers.Fragment{Name: string(rune('a'+i)) + ".toml", Content: []byte(content)})
	}
	return fragments
}

func TestConfigurationOfBothHandlersIsRenderedAsAgreed(t *testing.T) {
	t.Parallel()
	fragments := []handlers.Fragment{{Name: "50-memory.toml", Content: read(t, "50-memory.toml")}}
	for file, render := range map[string]func([]byte, []handlers.Fragment) ([]byte, error){
		"configuration.toml": handlers.Render, "configuration-proof.toml": handlers.RenderProof,
	} {
		content, err := render(read(t, "base.toml"), fragments)
		require.NoError(t, err)
		assert.Equal(t, string(read(t, file)), string(content), file)
		again, err := render(read(t, "base.toml"), fragments)
		require.NoError(t, err)
		assert.Equal(t, string(content), string(again), "%s is the same at every rendering", file)
	}
}

func TestFragmentsAreLaidOverTheBaseInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base      string
		fragments []string
		want      map[string]any
	}{
		"nothing":          {"a = 1\n", nil, map[string]any{"a": int64(1)}},
		"the later wins":   {"a = 1\n", []string{"a = 2\n", "a = 3\n"}, map[string]any{"a": int64(3)}},
		"tables are mixed": {"[t]\na = 1\nb = 1\n", []string{"[t]\nb = 2\nc = 2\n"}, map[string]any{"t": map[string]any{"a": int64(1), "b": int64(2), "c": int64(2)}}},
		"arrays replaced":  {"a = [1, 2]\n", []string{"a = [3]\n"}, map[string]any{"a": []any{int64(3)}}},
		"kinds replaced":   {"a = 1\n", []string{"[a]\nb = 2\n"}, map[string]any{"a": map[string]any{"b": int64(2)}}},
	} {
		assert.Equal(t, c.want, laid(t, c.base, c.fragments...), name)
	}
}

func TestTheProofHasNoNetworkWhateverFragmentsSay(t *testing.T) {
	t.Parallel()
	content, err := handlers.RenderProof([]byte("[runtime]\ninternetworking_model = 'tcfilter'\nenable_debug = true\n"), named("[runtime]\ndisable_new_netns = false\n"))
	require.NoError(t, err)
	config := map[string]any{}
	require.NoError(t, toml.Unmarshal(content, &config))
	assert.Equal(t, map[string]any{"runtime": map[string]any{"internetworking_model": "none", "disable_new_netns": true, "enable_debug": true}}, config)
}

func TestBadTOMLIsNamed(t *testing.T) {
	t.Parallel()
	_, err := handlers.Render([]byte("a = "), nil)
	require.ErrorContains(t, err, "reading the payload's base configuration: ")
	_, err = handlers.RenderProof([]byte("a = 1"), named("b = 1", "c = ["))
	assert.ErrorContains(t, err, "reading configuration fragment b.toml: ")
}

func TestFingerprintChangesWithContentNameAndOrder(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, fragments := range map[string][]handlers.Fragment{
		"none":      nil,
		"one":       {{Name: "a", Content: []byte("x = 1\n")}},
		"content":   {{Name: "a", Content: []byte("x = 2\n")}},
		"name":      {{Name: "b", Content: []byte("x = 1\n")}},
		"two":       {{Name: "a", Content: []byte("x = 1\n")}, {Name: "b"}},
		"order":     {{Name: "b"}, {Name: "a", Content: []byte("x = 1\n")}},
		"imitation": {{Name: "a", Content: []byte("x = 1\n\nb\n")}},
	} {
		sum := handlers.Fingerprint(fragments)
		assert.Equal(t, sum, handlers.Fingerprint(fragments))
		assert.NotContains(t, seen, sum, "%s and %s", name, seen[sum])
		seen[sum] = name
	}
}
