// SPDX-License-Identifier: Apache-2.0

package progress_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/progress"
)

func TestSuccessIsOneLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, progress.Run(t.Context(), &out, "counting", exec.CommandContext(t.Context(), "seq", "1000")))
	assert.Regexp(t, `^counting: done in [0-9.ms]+\n$`, out.String())
}

func TestErrorHasTheEndOfTheOutput(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := progress.Run(t.Context(), &out, "counting", exec.CommandContext(t.Context(), "sh", "-c", "seq 1000; echo no such number >&2; exit 2"))
	require.ErrorContains(t, err, "counting: exit status 2")
	require.ErrorContains(t, err, "no such number")
	assert.Less(t, strings.Count(err.Error(), "\n"), 40, "not all of it")
	assert.Empty(t, out.String())
}
