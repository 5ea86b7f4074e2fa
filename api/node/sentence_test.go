// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
)

func TestASentenceIsOnePrintableLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "",
		"pulling payload: denied":               "pulling payload: denied",
		"denied: quota\nMAINPID=1\r\nWATCHDOG=": "denied: quota; MAINPID=1; WATCHDOG=",
		"\x1b[31mred\x00\tand\u2028more":        "[31mred and more",
		"\xff\xfeno text":                       "no text",
		"one\n\n\ntwo":                          "one; two",
	} {
		assert.Equal(t, want, node.Sentence(text))
	}
}

func TestALongTextKeepsItsStartAndItsEnd(t *testing.T) {
	t.Parallel()
	got := node.Sentence("pulling payload: " + strings.Repeat("<p>ä</p>", 1<<20) + ": no space left on device")
	assert.LessOrEqual(t, len(got), node.MaxSentence)
	assert.True(t, strings.HasPrefix(got, "pulling payload: "))
	assert.True(t, strings.HasSuffix(got, ": no space left on device"))
	name := "default/payments-frontend-reporting-scheduler-primary-7c9d5b6f4-"
	assert.NotEqual(t, node.Shorten(name+"abcde", 40), node.Shorten(name+"fghij", 40))
}

func FuzzSentence(f *testing.F) {
	f.Add("a\nb")
	f.Add(strings.Repeat("ä", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		s := node.Sentence(text)
		assert.LessOrEqual(t, len(s), node.MaxSentence)
		assert.True(t, utf8.ValidString(s))
		assert.False(t, strings.ContainsFunc(s, unicode.IsControl))
		assert.Equal(t, s, node.Sentence(s))
	})
}
