// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSentence is the length of the longest sentence, in bytes.
const MaxSentence = 400

// Sentence makes one line of at most MaxSentence bytes of a text that may come from outside: from a
// registry, a container runtime or a shim. Line breaks become "; ", other control characters and
// bytes that are no UTF-8 by a space (a text of nothing else is "?"), and the middle of a long text
// is cut: its start names the operation, its end has the cause. Sentence of a sentence is the same
// sentence.
func Sentence(text string) string { return Shorten(line(text), MaxSentence) }

// maxRaw is how much of a text is looked at, half of it at each end.
const maxRaw = 16 << 10

func line(text string) string {
	if len(text) > maxRaw {
		text = text[:maxRaw/2] + ellipsis + text[len(text)-maxRaw/2:]
	}
	var lines []string
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		part = strings.Join(strings.Fields(strings.Map(printable, part)), " ")
		if part != "" {
			lines = append(lines, part)
		}
	}
	if len(lines) == 0 && text != "" {
		return "?"
	}
	return strings.Join(lines, "; ")
}

// printable replaces what a line protocol or a terminal could obey.
func printable(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// ellipsis stands where a text was cut.
const ellipsis = "…"

// Shorten cuts the middle out of a text that has more than limit bytes, which must be at least 16.
// Texts that differ at their ends, as names of pods do, stay different.
func Shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	keep := limit - len(ellipsis)
	head, tail := keep/2, len(text)-(keep-keep/2)
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + ellipsis + text[tail:]
}

// Line makes one line of a text, at most limit bytes long in its JSON form, and cuts the middle out
// of a longer one. The limit must be at least 16.
func Line(text string, limit int) string {
	text = line(text)
	short := Shorten(text, limit)
	// A byte takes six at most in JSON, so no step cuts more than it has to.
	for keep := limit; quotedLen(short) > limit; {
		keep -= max(1, (quotedLen(short)-limit)/6)
		short = Shorten(text, keep)
	}
	return short
}

// quotedLen is the length of a text's JSON form, with its quotes.
func quotedLen(text string) int {
	quoted, err := json.Marshal(text)
	if err != nil {
		return len(text)
	}
	return len(quoted)
}
