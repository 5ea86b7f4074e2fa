// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Program writes a program that can be executed at once. A child that another test starts has a
// copy of every open file until it executes its own program, and the kernel executes no program
// that is open for writing (ETXTBSY), so no child is started meanwhile.
func Program(t *testing.T, file string, content []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(file, content, 0o755))
}
