// SPDX-License-Identifier: Apache-2.0

package resident

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// resident is what this process has in memory of files, in kB.
func residentOfFiles(t *testing.T) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, value, found := strings.Cut(string(status), "RssFile:")
	require.True(t, found)
	_, err = fmt.Sscan(value, &kilobytes)
	require.NoError(t, err)
	return kilobytes
}

func TestPagesOfTheProgramAreGivenBackAndReadAgain(t *testing.T) { //nolint:paralleltest // It measures the process.
	before := residentOfFiles(t)
	require.NoError(t, Trim())
	assert.Less(t, residentOfFiles(t), before)
	require.NoError(t, Trim(), "and again")
}

func TestOnlyWhatIsTheFilesIsGivenBack(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01f2a000 r-xp 00000000 103:01 1311                      /usr/bin/agent
Rss:                1000 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
01f2a000-02000000 r--p 01b2a000 103:01 1311                      /usr/bin/agent
Rss:                 100 kB
Anonymous:             4 kB
02000000-03000000 r--p 01c00000 103:01 1311                      /usr/bin/agent
Anonymous:             0 kB
03000000-03100000 rw-p 02c00000 103:01 1311                      /usr/bin/agent
Anonymous:             0 kB
03100000-03200000 r-xp 00000000 103:01 1312                      /usr/lib/other
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0                      [anon: Go: heap]
Anonymous:             0 kB
7fff0000-7fff8000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
`
	all, err := clean(strings.NewReader(smaps), "/usr/bin/agent")
	require.NoError(t, err)
	assert.Equal(t, []mapping{{0x400000, 0x1f2a000}, {0x2000000, 0x3000000}}, all)
}
