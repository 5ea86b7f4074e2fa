// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxWords is how many lines are returned: a program's last one mostly says why it ended.
	maxWords = 2
	// maxRead is how many lines are read to find them.
	maxRead = "50"
)

// Words returns the last lines that the program of a service wrote to the journal in one of its
// starts, the last one that wrote any, but for those with the given invocations. What systemd says
// of the service is not among them.
func (Manager) Words(ctx context.Context, name string, but ...string) (string, error) {
	said, err := journal(ctx, name, maxProblem, "--lines="+maxRead, "--output-fields=MESSAGE,_SYSTEMD_INVOCATION_ID", "_SYSTEMD_UNIT="+name)
	if err != nil {
		return "", err
	}
	return untimed(strings.Join(lastWords(said, but), "\n")), nil
}

// lastWords finds them in a journal in JSON, one entry per line. A line that was cut, or a message
// that is no text, is passed over.
func lastWords(journal []byte, but []string) []string {
	var words []string
	invocation := ""
	for line := range bytes.Lines(journal) {
		var entry struct {
			Message    string `json:"MESSAGE"`
			Invocation string `json:"_SYSTEMD_INVOCATION_ID"`
		}
		if json.Unmarshal(line, &entry) != nil || slices.Contains(but, entry.Invocation) {
			continue
		}
		if entry.Invocation != invocation {
			words, invocation = nil, entry.Invocation
		}
		words = append(words, entry.Message)
	}
	return words[max(0, len(words)-maxWords):]
}

// timestamp is how logrus begins a line, which would make each start's words differ.
var timestamp = regexp.MustCompile(`(?m)^time="[^"]*" `)

func untimed(text string) string { return timestamp.ReplaceAllString(text, "") }
