// SPDX-License-Identifier: Apache-2.0

package status

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kata-node/kata-node/api/node"
)

// Bounds of the parts of a status, in bytes of their JSON form. Their sum, with everything else at
// its largest, stays below v1.MaxStatusBytes.
const (
	maxFailedBytes   = 11 << 10
	maxPayloadBytes  = 4 << 10
	maxConflictBytes = 3 << 10
	// maxCondition is for the message of each of three conditions.
	maxCondition = 2 << 10
	// maxList is for the names in a sentence.
	maxList = 300
)

// maxNames bounds lists of node names in sentences and conflicts.
const maxNames = 5

// What is said of one failed node, in bytes: an agent's own sentence, or less where many are long.
// The middle is cut out, since the end has the cause.
const (
	maxSentence   = node.MaxSentence
	shortSentence = 120
)

// list names the first of many nodes.
func list(nodes []string) string { return joined(nodes[:min(len(nodes), maxNames)], len(nodes)) }

// joined names the first of total items, at least one, as far as they fit into a sentence.
func joined(first []string, total int) string {
	var out strings.Builder
	shown := 0
	for _, item := range first {
		if shown > 0 && out.Len()+len(item) > maxList {
			break
		}
		if shown > 0 {
			out.WriteString(", ")
		}
		out.WriteString(node.Shorten(item, maxList))
		shown++
	}
	if rest := total - shown; rest > 0 {
		fmt.Fprintf(&out, " and %d more", rest)
	}
	return out.String()
}

// fitting returns the first items, as many as fit.
func fitting[T any](items []T, limit int) []T {
	for i, item := range items {
		document, err := json.Marshal(item)
		if limit -= len(document) + len(","); err != nil || limit < 0 {
			return items[:i]
		}
	}
	return items
}
