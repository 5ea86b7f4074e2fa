// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheOutputOfAnExecutedProcessIsReadBeforeItIsDeleted(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "stdout")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	file, err := os.OpenFile(fifo, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // Nothing is lost with it.
	_, err = io.WriteString(file, "output")
	require.NoError(t, err)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	drain(ended, fifo) // Nobody reads: it returns with its caller.
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		drain(t.Context(), fifo)
	}()
	content := make([]byte, len("output"))
	_, err = io.ReadFull(file, content)
	require.NoError(t, err)
	<-drained
	assert.Equal(t, "output", string(content))
}

func TestAProcessWithoutStreamsIsDeletedAtOnce(t *testing.T) {
	t.Parallel()
	drain(t.Context(), "")
	drain(t.Context(), filepath.Join(t.TempDir(), "absent"))
}
