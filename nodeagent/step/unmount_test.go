// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestAnUnmountThatIsRefusedNamesWhoIsInTheWay(t *testing.T) {
	t.Parallel()
	const busy = ": device or resource busy"
	for want, processes := range map[string][]host.Process{
		busy:                                nil,
		busy + "; in use by process 7 (sh)": {{PID: 7, Name: "sh"}},
		busy + "; in use by process 7 (a; b), process 8 (sh), process 9 (?), and others": {
			{PID: 7, Name: "a\nb"}, {PID: 8, Name: "sh"}, {PID: 9, Name: "\x1b"}, {PID: 10, Name: "sh"}, {PID: 11, Name: "sh"},
		},
	} {
		b := newBench(t)
		b.want(t, installing(one()))
		b.settle(t)
		old := b.look(t).Slots.Current
		for i := range processes {
			processes[i].Paths = []string{host.PayloadDir(old)}
		}
		b.Busy[host.PayloadDir(old)], b.Holding = true, processes
		err := b.runner().Run(t.Context(), plan.Step{Kind: plan.Unmount, Slot: old}, b.look(t))
		require.EqualError(t, err, "unmounting "+host.PayloadDir(old)+want)
		assert.ErrorIs(t, err, unix.EBUSY)
	}
}

func TestOnlyABusyMountIsSearchedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	r, f := b.runner(), b.look(t)
	r.Host.Mounts = refusing{r.Host.Mounts}
	r.Host.Processes = nil
	err := r.Run(t.Context(), plan.Step{Kind: plan.Unmount, Slot: f.Slots.Current}, f)
	assert.ErrorIs(t, err, errRefused)
}

var errRefused = errors.New("unmounting: no permission")

// refusing is a kernel that unmounts nothing.
type refusing struct{ host.Mounts }

func (refusing) Unmount(string) error { return errRefused }

func TestAVersionInUseStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	b.Busy[b.Mounts[0]] = true
	before := b.state(t)
	err := b.runner().Run(t.Context(), plan.Step{Kind: plan.Unmount, Slot: b.look(t).Slots.Current}, plan.Facts{})
	require.ErrorIs(t, err, unix.EBUSY)
	assert.Equal(t, before, b.state(t))
}

func TestMountsInAndOnAPayloadGoFromTheLastToTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	b.Mounts = append(b.Mounts, b.Mounts[0], b.Mounts[0]+"/usr")
	require.NoError(t, b.runner().Run(t.Context(), plan.Step{Kind: plan.Unmount, Slot: b.look(t).Slots.Current}, plan.Facts{}))
	assert.Empty(t, b.Mounts)
}
