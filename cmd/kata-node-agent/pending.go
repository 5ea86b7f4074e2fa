// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// pendingShim answers CRI-O on a node that serves no payload: whatever it is asked to start, it
// says why it will not. CRI-O asks every shim for its version and its features at its own start,
// and logs an error for an answer with another code than 0.
func pendingShim(args []string, out, problem io.Writer, read func(string) ([]byte, error)) int {
	if slices.Contains(args, "--version") {
		fmt.Fprintln(out, "kata-agent: no payload is served on this node")
		return 0
	}
	if len(args) > 0 && args[0] == "features" {
		fmt.Fprintln(out, "{}")
		return 0
	}
	fmt.Fprintln(problem, "Kata is not ready on this node: "+reason(read))
	return 1
}

func reason(read func(string) ([]byte, error)) string {
	sentence, err := read(host.PendingReason)
	if text := strings.TrimSpace(string(sentence)); err == nil && text != "" {
		return text
	}
	return "no payload is served: see systemctl status kata-agent on the node"
}
