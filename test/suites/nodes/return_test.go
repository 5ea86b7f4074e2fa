// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFormerPayloadIsServedAgainAtOnceAndVerifiedWhereItsFilesHaveChanged(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "returns")
	s.install()
	good, file := s.served(), s.onlyStored(damagedFile)
	s.switchTo(s.two)

	proofs, pulls := s.steps("prove payload"), s.steps("pull payload")
	s.switchTo(s.one)
	assert.Equal(t, proofs, s.steps("prove payload"), "neither proved")
	assert.Equal(t, 1, s.steps("resume payload"))
	assert.Equal(t, good, s.served())
	s.awaitSteps("verify payload again", 1)

	s.switchTo(s.two)
	s.flipByte(file, false)
	s.switchTo(s.one)
	assert.Equal(t, good, s.served(), "what was damaged is not served")
	assert.Equal(t, pulls+1, s.steps("pull payload"))
	s.assertCRIOStarts(2)
}

// switchTo names a payload, and returns when nothing but that one is mounted.
func (s *subject) switchTo(image string) {
	s.t.Helper()
	s.change("payloadImage", image)
	_, digest, _ := strings.Cut(image, "@")
	s.awaitReport("serves "+image, func(r node.Report) bool { return in(node.PhaseInstalled)(r) && r.Payload == digest })
	s.awaitMounts(1)
}

// onlyStored is the one file of that name in the agent's store, as a path below it.
func (s *subject) onlyStored(name string) string {
	s.t.Helper()
	store := filepath.Join(s.node.Root(), host.StoreDir)
	files, err := filepath.Glob(filepath.Join(store, "overlay/*/diff", name))
	require.NoError(s.t, err)
	require.Len(s.t, files, 1)
	below, err := filepath.Rel(store, files[0])
	require.NoError(s.t, err)
	return below
}

func (s *subject) awaitSteps(kind string, count int) {
	s.t.Helper()
	s.await(fmt.Sprintf("%q was started %d times", kind, count), func(context.Context) error {
		if started := s.steps(kind); started < count {
			return fmt.Errorf("started %d times", started)
		}
		return nil
	})
}
