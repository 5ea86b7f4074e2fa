// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// shims is how Kata's shims name themselves to syslog, from the control group of CRI-O or of
	// their pod.
	shims = "kata"
	// maxComplaints is how many lines are returned: they become part of one sentence.
	maxComplaints = 2
	// maxSearched is how many lines are looked at, from the last one, and maxJournal how many bytes
	// of them.
	maxSearched = "2000"
	maxJournal  = 1 << 20
)

// Complaints returns the last warnings and errors that a service and Kata's shims have put into the
// journal within a time span. Those of requests that name one of the given words come first; if
// there are none, those that belong to no request of another.
func (Manager) Complaints(ctx context.Context, name string, within time.Duration, about ...string) ([]string, error) {
	said, err := search(ctx, name, within, "+", "SYSLOG_IDENTIFIER="+shims)
	return complaints(said, about), err
}

// Messages returns those of a service that contain one of the words. What a program has sent to the
// journal as one message is one, whatever its lines.
func (Manager) Messages(ctx context.Context, name string, within time.Duration, words ...string) ([]string, error) {
	said, err := search(ctx, name, within)
	return slices.DeleteFunc(said, func(message string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(message, word) })
	}), err
}

// search returns the last messages of a service, and of what the further matches find.
func search(ctx context.Context, name string, within time.Duration, matches ...string) ([]string, error) {
	said, err := journal(ctx, name, maxJournal, append([]string{
		"--lines=" + maxSearched, since(within), "--output-fields=MESSAGE", "_SYSTEMD_UNIT=" + name,
	}, matches...)...)
	return messages(said), err
}

// messages are the lines of a journal in JSON. What was cut, or is no text, is passed over.
func messages(journal []byte) []string {
	var found []string
	for line := range bytes.Lines(journal) {
		var entry struct {
			Message string `json:"MESSAGE"`
		}
		if json.Unmarshal(line, &entry) == nil {
			found = append(found, strings.TrimSpace(untimed(entry.Message)))
		}
	}
	return found
}

var (
	// request is what CRI-O puts at the end of each line that belongs to a call over CRI.
	request = regexp.MustCompile(` id=([0-9a-f]{8}-[0-9a-f-]{27}) name=\S+$`)
	// harmless is a line of logrus that is no complaint. What has no level, such as a panic, is
	// one.
	harmless = regexp.MustCompile(`^level="?(info|debug|trace)\b`)
)

// complaints finds those about some words. CRI-O names a pod when a request starts, and gives the
// request an id; the lines of a shim, which it passes on, have the id of the sandbox only.
func complaints(lines, about []string) []string {
	var theirs, nobodys, requests []string
	for _, line := range lines {
		id := ""
		if found := request.FindStringSubmatch(line); found != nil {
			id = found[1]
		}
		ours := slices.Contains(requests, id) || slices.ContainsFunc(about, func(word string) bool { return word != "" && strings.Contains(line, word) })
		if ours && id != "" {
			requests = append(requests, id)
		}
		if line == "" || harmless.MatchString(line) {
			continue
		}
		line = request.ReplaceAllString(line, "")
		switch {
		case ours:
			theirs = append(theirs, line)
		case id == "":
			nobodys = append(nobodys, line)
		}
	}
	if len(theirs) == 0 {
		theirs = nobodys
	}
	return theirs[max(0, len(theirs)-maxComplaints):]
}
