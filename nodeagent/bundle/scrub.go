// SPDX-License-Identifier: Apache-2.0

// Package bundle puts what helps to find out what is wrong with a node into one archive, and keeps
// secrets out of it. A source that fails or hangs costs its own part of the archive and no other.
package bundle

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Removed stands where a secret was.
const Removed = "[removed]"

// minSecret is the shortest value that is looked for: a shorter one is in many words.
const minSecret = 5

// Scrubber removes secrets from text: those that are known by value, and what looks like one.
type Scrubber struct{ values []string }

// NewScrubber returns one that knows all secrets of the given documents, which are files with
// credentials: a pull secret, a kubeconfig. One that cannot be read adds nothing.
func NewScrubber(documents ...[]byte) Scrubber {
	var s Scrubber
	for _, d := range documents {
		var content any
		if yaml.Unmarshal(d, &content) == nil { // JSON is YAML.
			s.learn(content, false)
		}
	}
	// A secret that contains another one is removed as a whole.
	slices.SortFunc(s.values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	s.values = slices.Compact(s.values)
	return s
}

// secretKey is how keys of secrets end in configurations of registries, clusters and proxies.
var secretKey = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|auth|credentials?|key-data|api-?key)$`)

func (s *Scrubber) learn(content any, secret bool) {
	switch v := content.(type) {
	case map[string]any:
		for key, value := range v {
			s.learn(value, secretKey.MatchString(key))
		}
	case []any:
		for _, value := range v {
			s.learn(value, secret)
		}
	case string:
		if secret {
			s.add(v)
		}
	}
}

// add takes a value in all forms in which programs print it. A login of Docker's is USER:PASSWORD
// in base64.
func (s *Scrubber) add(value string) {
	forms := []string{value}
	if plain, err := base64.StdEncoding.DecodeString(value); err == nil {
		forms = append(forms, string(plain))
		if _, password, login := strings.Cut(string(plain), ":"); login {
			forms = append(forms, password)
		}
	}
	for _, form := range slices.Clone(forms) {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(form)), base64.RawURLEncoding.EncodeToString([]byte(form)), url.QueryEscape(form), url.PathEscape(form))
	}
	for _, form := range forms {
		if len(form) >= minSecret {
			s.values = append(s.values, form)
		}
	}
}

// look is what secrets look like where their value is not known, and what is left of the match.
type look struct {
	pattern *regexp.Regexp
	leaves  string
}

var (
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)
	// A journal may begin in the middle of a key.
	endOfKey = regexp.MustCompile(`[A-Za-z0-9+/=\s]*-----END [A-Z0-9 ]*PRIVATE KEY-----`)
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@"']+@`)
	header   = regexp.MustCompile(`(?i)\b(bearer|basic)(\s+)[A-Za-z0-9+/_.~=-]{6,}`)
	webToken = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?`)
	login    = regexp.MustCompile(`(?i)(\\?"auth\\?"\s*:\s*)\\?"[^"]*"`)
)

func looks() []look {
	return []look{
		{privateKey, Removed},
		{endOfKey, Removed},
		{userinfo, "${1}" + Removed + "@"},
		{header, "${1}${2}" + Removed},
		{webToken, Removed},
		{login, `${1}"` + Removed + `"`},
	}
}

// assigned is a value under a key that names a secret, in TOML, JSON, YAML, an environment or a
// command line.
var assigned = regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|key-data)\\?["']?\s*[:=]\s*)(\\?"[^"\n]*"|'[^'\n]*'|[^\s"',;&}]+)`)

// place is where a secret lies, such as the value of pull_secret. A secret itself may begin with a
// slash.
var place = regexp.MustCompile(`^/(?:etc|home|root|run|usr|var)/[A-Za-z0-9._/-]+$`)

// Clean returns the text without secrets.
func (s Scrubber) Clean(text []byte) []byte {
	for _, value := range s.values {
		text = bytes.ReplaceAll(text, []byte(value), []byte(Removed))
	}
	for _, l := range looks() {
		text = l.pattern.ReplaceAll(text, []byte(l.leaves))
	}
	return assigned.ReplaceAllFunc(text, func(match []byte) []byte {
		parts := assigned.FindSubmatch(match)
		value := string(parts[2])
		if place.MatchString(strings.Trim(value, `"'`)) {
			return match
		}
		quote := ""
		if i := strings.IndexAny(value, `"'`); i >= 0 {
			quote = value[:i+1]
		}
		return append(bytes.Clone(parts[1]), quote+Removed+quote...)
	})
}
