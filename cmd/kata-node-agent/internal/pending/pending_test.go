// SPDX-License-Identifier: Apache-2.0

package pending_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/cmd/kata-node-agent/internal/pending"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// shimSaid runs the pending shim with a reason on disk, if any.
func shimSaid(reason string, args ...string) (code int, out, problem string) {
	var stdout, stderr strings.Builder
	code = pending.Answer(args, &stdout, &stderr, func(path string) ([]byte, error) {
		if path != host.PendingReason || reason == "" {
			return nil, fs.ErrNotExist
		}
		return []byte(reason), nil
	})
	return code, stdout.String(), stderr.String()
}

func TestThePendingShimSaysWhyInOneSentence(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"pulling payload: no route to host\n": "Kata is not ready on this node: pulling payload: no route to host\n",
		"":                                    "Kata is not ready on this node: no payload is served: see systemctl status kata-agent on the node\n",
		"\n":                                  "Kata is not ready on this node: no payload is served: see systemctl status kata-agent on the node\n",
	} {
		code, out, problem := shimSaid(reason, "-namespace", "default", "-id", "abc", "start")
		assert.Equal(t, 1, code)
		assert.Empty(t, out, "CRI-O takes it for the address of a task service")
		assert.Equal(t, want, problem)
	}
}

func TestThePendingShimHasNoFeatures(t *testing.T) {
	t.Parallel()
	code, out, problem := shimSaid("any", "features")
	assert.Zero(t, code)
	assert.JSONEq(t, "{}", out)
	assert.Empty(t, problem)
}

func TestThePendingShimHasAVersion(t *testing.T) {
	t.Parallel()
	code, out, problem := shimSaid("any", "--version")
	assert.Zero(t, code)
	assert.NotEmpty(t, out)
	assert.Empty(t, problem)
}
