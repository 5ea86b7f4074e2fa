// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package machine

import (
	"context"
	"encoding/binary"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// fakeKVM is a kernel whose virtual processor does what the program asks, unless a call fails.
type fakeKVM struct {
	fail    map[uint]error
	opens   error
	maps    error
	version int
	// exits makes the processor exit, with what it shares.
	exits func(ctx context.Context, run []byte) error

	shared         []byte
	opened, closed int
	mapped, gone   int
}

func newFake() *fakeKVM {
	return &fakeKVM{version: apiVersion, fail: map[uint]error{}, exits: wroteTheSum}
}

func wroteTheSum(_ context.Context, run []byte) error {
	binary.NativeEndian.PutUint32(run[exitReason:], exitIO)
	run[ioDirection] = directionOut
	binary.NativeEndian.PutUint16(run[ioPort:], port)
	binary.NativeEndian.PutUint64(run[ioOffset:], 1024)
	run[1024] = one + two
	return nil
}

func exitsWith(reason uint32) func(context.Context, []byte) error {
	return func(_ context.Context, run []byte) error {
		binary.NativeEndian.PutUint32(run[exitReason:], reason)
		return nil
	}
}

func (f *fakeKVM) Open(string) (int, error) {
	if f.opens != nil {
		return 0, f.opens
	}
	f.opened++
	return f.opened, nil
}

func (f *fakeKVM) Close(int) { f.closed++ }

func (f *fakeKVM) Call(_ int, request uint, _ int) (int, error) {
	if err := f.fail[request]; err != nil {
		return 0, err
	}
	switch request {
	case getAPIVersion:
		return f.version, nil
	case createVM, createVCPU:
		f.opened++
		return f.opened, nil
	case getVCPUMmapSize:
		return 4096, nil
	}
	return 0, nil
}

func (f *fakeKVM) Pass(_ int, request uint, _ []byte) error { return f.fail[request] }

func (f *fakeKVM) Map(_, size int) ([]byte, error) {
	if f.maps != nil {
		return nil, f.maps
	}
	f.mapped++
	f.shared = make([]byte, size)
	return f.shared, nil
}

func (f *fakeKVM) Allocate(size int) ([]byte, uint64, error) {
	f.mapped++
	return make([]byte, size), 1 << 20, nil
}

func (f *fakeKVM) Unmap([]byte) { f.gone++ }

func (f *fakeKVM) Run(ctx context.Context, _ int, run []byte) error { return f.exits(ctx, run) }

func TestAVirtualMachineRuns(t *testing.T) {
	t.Parallel()
	f := newFake()
	assert.Equal(t, host.KVM{Device: true, Ran: true}, tryKVM(t.Context(), f, "/dev/kvm"))
	assert.Equal(t, f.opened, f.closed)
	assert.Equal(t, f.mapped, f.gone)
	assert.Equal(t, 3, f.opened)
}

func TestNoDeviceIsNoProblemOfIt(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.opens = fs.ErrNotExist
	assert.Equal(t, host.KVM{}, tryKVM(t.Context(), f, "/dev/kvm"))
}

func TestEachOperationThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	refuses := func(request uint) func(*fakeKVM) {
		return func(f *fakeKVM) { f.fail[request] = unix.EBUSY }
	}
	for says, change := range map[string]func(*fakeKVM){
		"opening: permission denied":                               func(f *fakeKVM) { f.opens = unix.EACCES },
		"asking for the version of its interface":                  refuses(getAPIVersion),
		"its interface has version 11, not 12":                     func(f *fakeKVM) { f.version = 11 },
		"creating a virtual machine: device or resource busy":      refuses(createVM),
		"reserving memory of the processor":                        refuses(setTSSAddress),
		"giving the guest its memory":                              refuses(setMemoryRegion),
		"creating a virtual processor: ":                           refuses(createVCPU),
		"asking for the size of a virtual processor's state":       refuses(getVCPUMmapSize),
		"mapping a virtual processor's state":                      func(f *fakeKVM) { f.maps = unix.ENOMEM },
		"asking which processor a guest can have":                  refuses(getSupportedCPUID),
		"setting the kind of a virtual processor":                  refuses(setCPUID),
		"reading control registers":                                refuses(getSpecial),
		"setting control registers":                                refuses(setSpecial),
		"setting registers: ":                                      refuses(setRegisters),
		"running a virtual processor: input/output error":          func(f *fakeKVM) { f.exits = func(context.Context, []byte) error { return unix.EIO } },
		"it ran no instruction of the guest and exited with KVM_E": func(f *fakeKVM) { f.exits = exitsWith(9) },
		"exited with exit reason 99":                               func(f *fakeKVM) { f.exits = exitsWith(99) },
		"another result than that of its program":                  func(f *fakeKVM) { f.exits = exitsWith(exitIO) },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			change(f)
			found := tryKVM(t.Context(), f, "/dev/kvm")
			assert.True(t, found.Device)
			assert.False(t, found.Ran)
			assert.Contains(t, found.Problem, says)
			assert.Equal(t, f.opened, f.closed)
			assert.Equal(t, f.mapped, f.gone)
		})
	}
}

func TestAProcessorThatIsInterruptedRunsAgain(t *testing.T) {
	t.Parallel()
	f, tries := newFake(), 0
	f.exits = func(ctx context.Context, run []byte) error {
		if tries++; tries < 3 {
			return unix.EINTR
		}
		return wroteTheSum(ctx, run)
	}
	assert.Empty(t, tryKVM(t.Context(), f, "/dev/kvm").Problem)
}

func TestAProcessorThatNeverExitsIsGivenUp(t *testing.T) {
	t.Parallel()
	f := newFake()
	ctx, end := context.WithCancel(t.Context())
	f.exits = func(context.Context, []byte) error {
		end()
		return unix.EINTR
	}
	assert.Contains(t, tryKVM(ctx, f, "/dev/kvm").Problem, "it did not exit within 5s")
}

func TestAVirtualMachineIsTriedAgainAfterAWhile(t *testing.T) {
	t.Parallel()
	e, now, f := below(t, nil), time.Unix(1e9, 0), newFake()
	e.device, e.now = f, func() time.Time { return now }
	for _, c := range []struct {
		later time.Duration
		tries int
	}{{0, 1}, {usableFor - time.Second, 1}, {time.Second, 2}, {-time.Hour, 3}} {
		now = now.Add(c.later)
		e.tryKVM(t.Context())
		assert.Equal(t, 3*c.tries, f.opened)
	}
	f.opens = unix.EACCES
	now = now.Add(usableFor)
	assert.NotEmpty(t, e.tryKVM(t.Context()).Problem)
	now, f.opens = now.Add(unusableFor), nil
	assert.Empty(t, e.tryKVM(t.Context()).Problem)
}
