// SPDX-License-Identifier: Apache-2.0

package stricttoml_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/internal/stricttoml"
)

type document struct {
	Name  string `toml:"name"`
	Other string `toml:"other"`
}

func TestAMistakeIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"name = 'a'\ntitle = 'b'": `line 2: unknown key "title"`,
		"name = 'a'\nother = 2":   "line 2, column 9: ",
		"name = ":                 "line 1, column 7: ",
	} {
		var d document
		err := stricttoml.Decode([]byte(text), &d)
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestWhatADocumentDoesNotNameStays(t *testing.T) {
	t.Parallel()
	d := document{Name: "a", Other: "b"}
	require.NoError(t, stricttoml.Decode([]byte("name = 'c'"), &d))
	assert.Equal(t, document{Name: "c", Other: "b"}, d)
}
