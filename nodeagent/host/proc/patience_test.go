// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/proc"
)

// users starts a process that uses /slots/v1 of a root, and others that do not, until end is
// called.
func users(t *testing.T, root string, others int) (pid int, unused map[int]bool, end func()) {
	t.Helper()
	if os.Getpid() != 1 {
		t.Skip("a process table of its own needs root")
	}
	pid, stop := child(t, installed(t, root, "slots/v1/payload/shim"))
	ends, unused, cat := []func(){stop}, map[int]bool{}, installed(t, root, "elsewhere/cat")
	for range others {
		other, stop := child(t, cat)
		ends, unused[other] = append(ends, stop), true
	}
	return pid, unused, func() {
		for _, stop := range ends {
			stop()
		}
	}
}

func TestAProcessThatCannotBeReadIsNamedAndHidesNoOther(t *testing.T) { //nolint:paralleltest // other tests' processes come and go
	root := t.TempDir()
	pid, refused, end := users(t, root, 1)
	defer end()
	table := proc.Below(root)
	table.Reading(func(pid int, really func() (host.Process, error)) (host.Process, error) {
		if refused[pid] {
			return host.Process{}, &fs.PathError{Op: "open", Path: fmt.Sprintf("/proc/%d/maps", pid), Err: fs.ErrPermission}
		}
		return really()
	})
	found, err := table.Using("/slots")
	require.NoError(t, err)
	require.Len(t, found, 2)
	for _, p := range found {
		if p.PID == pid {
			assert.Equal(t, []string{"/slots/v1/payload/shim"}, p.Paths)
			continue
		}
		assert.Equal(t, fmt.Sprintf("open /proc/%d/maps: permission denied", p.PID), p.Unread)
		assert.True(t, refused[p.PID])
	}
}

func TestAProcessThatHoldsItsMemoryLockIsWaitedForOnce(t *testing.T) { //nolint:paralleltest // other tests' processes come and go
	const some = 3
	root := t.TempDir()
	pid, hung, end := users(t, root, some)
	defer end()
	synctest.Test(t, func(t *testing.T) {
		table, reads, answer := hangs(root, hung)
		for look, most := range []time.Duration{some * proc.ReadLimit, 0} {
			began := time.Now()
			found, err := table.Using("/slots")
			require.NoError(t, err)
			assert.Equal(t, most, time.Since(began), "look %d", look)
			assert.Len(t, found, some+1)
			assert.EqualValues(t, some, reads.Load())
			for _, p := range found {
				assert.Equal(t, p.PID == pid, p.Unread == "", p.Unread)
			}
		}
		close(answer)
		synctest.Wait()
		found, err := table.Using("/slots")
		require.NoError(t, err)
		assert.Len(t, found, 1, "they answer again")
	})
}

func TestReadsThatHangAreBounded(t *testing.T) { //nolint:paralleltest // other tests' processes come and go
	root := t.TempDir()
	_, hung, end := users(t, root, proc.MaxLate+2)
	defer end()
	synctest.Test(t, func(t *testing.T) {
		table, reads, answer := hangs(root, hung)
		defer close(answer)
		for range 2 {
			found, err := table.Using("/slots")
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(found), len(hung), "what was not read is named")
			assert.EqualValues(t, proc.MaxLate, reads.Load())
		}
	})
}

// hangs returns a table in which reads of some processes wait for an answer, and how many of them
// have begun.
func hangs(root string, hung map[int]bool) (table *proc.Table, reads *atomic.Int32, answer chan struct{}) {
	table, reads, answer = proc.Below(root), new(atomic.Int32), make(chan struct{})
	table.Reading(func(pid int, really func() (host.Process, error)) (host.Process, error) {
		if hung[pid] {
			reads.Add(1)
			<-answer
		}
		return really()
	})
	return table, reads, answer
}
