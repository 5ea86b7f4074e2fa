// SPDX-License-Identifier: Apache-2.0

// Package pending is the shim of a node that serves no payload. It is the agent's own program under
// another name, and it ends before the packages that the agent links are initialized: CRI-O starts
// a shim four times at each of its own starts, and again for each sandbox of a pod that waits.
//
// Go initializes packages in the order of their import paths, each as soon as what it imports is
// initialized. This package therefore imports nothing but small packages.
package pending

import (
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

//nolint:gochecknoinits // main comes after the initialization of everything that the agent links
func init() {
	if path.Base(os.Args[0]) == host.Shim {
		os.Exit(Answer(os.Args[1:], os.Stdout, os.Stderr, os.ReadFile))
	}
}

// Answer answers CRI-O, which asks every shim for its version and its features at its own start and
// logs an error for an answer with another code than 0. Whatever else it asks, it learns why
// nothing starts.
func Answer(args []string, out, problem io.StringWriter, read func(string) ([]byte, error)) int {
	switch {
	case slices.Contains(args, "--version"):
		return say(out, "kata-agent: no payload is served on this node\n", 0)
	case len(args) > 0 && args[0] == "features":
		return say(out, "{}\n", 0)
	default:
		return say(problem, "Kata is not ready on this node: "+reason(read)+"\n", 1)
	}
}

// say returns the code of the answer, or 1 where it cannot be written.
func say(to io.StringWriter, text string, code int) int {
	if _, err := to.WriteString(text); err != nil {
		return 1
	}
	return code
}

func reason(read func(string) ([]byte, error)) string {
	sentence, err := read(host.PendingReason)
	if text := strings.TrimSpace(string(sentence)); err == nil && text != "" {
		return text
	}
	return "no payload is served: see systemctl status kata-agent on the node"
}
