// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"path/filepath"
	"testing"

	eventsapi "github.com/containerd/containerd/api/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExhaustedMemoryIsAFileInTheBundle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publisher := oomPublisher{func(id string) string { return map[string]string{"a": dir}[id] }}
	for _, event := range []any{&eventsapi.TaskExit{ContainerID: "a"}, &eventsapi.TaskOOM{ContainerID: "unknown"}} {
		require.NoError(t, publisher.Publish(t.Context(), "", event))
		assert.NoFileExists(t, filepath.Join(dir, oomFile))
	}
	require.NoError(t, publisher.Publish(t.Context(), "", &eventsapi.TaskOOM{ContainerID: "a"}))
	assert.FileExists(t, filepath.Join(dir, oomFile))
}
