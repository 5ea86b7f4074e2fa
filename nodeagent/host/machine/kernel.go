// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is the device of this host.
type kernel struct{}

// Open opens the device for this process only.
func (kernel) Open(path string) (int, error) { return unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0) }

// Close closes a descriptor, which no error keeps open.
func (kernel) Close(fd int) { _ = unix.Close(fd) } //nolint:errcheck // see above

// Call passes the argument itself.
func (kernel) Call(fd int, request uint, argument int) (int, error) {
	result, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
	if errno != 0 {
		return 0, errno
	}
	return int(result), nil
}

// Pass passes a pointer.
func (kernel) Pass(fd int, request uint, structure []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&structure[0]))) //nolint:gosec // the kernel takes a pointer
	if errno != 0 {
		return errno
	}
	return nil
}

// Map maps the whole of what is shared.
func (kernel) Map(fd, size int) ([]byte, error) {
	return unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Allocate returns whole pages outside the heap.
func (kernel) Allocate(size int) ([]byte, uint64, error) {
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, 0, err
	}
	return memory, uint64(uintptr(unsafe.Pointer(&memory[0]))), nil //nolint:gosec // the kernel takes an address
}

// Unmap gives a mapping up, which no error keeps.
func (kernel) Unmap(memory []byte) { _ = unix.Munmap(memory) } //nolint:errcheck // see above

const (
	run = direction | 0xae80
	// immediateExit is where a set byte makes the kernel leave the processor before it runs.
	immediateExit = 1
	// again is how often a virtual processor is interrupted that does not exit.
	again = 100 * time.Millisecond
)

// Run interrupts the processor once the context ends: a virtual processor may run for ever, and the
// kernel returns only for a signal to this thread. The signal is the one that Go's scheduler sends
// to itself, so it changes nothing else.
func (kernel) Run(ctx context.Context, vcpu int, shared []byte) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, done, stopped := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		ticker := time.NewTicker(again)
		defer ticker.Stop()
		for {
			shared[immediateExit] = 1
			_ = unix.Tgkill(unix.Getpid(), thread, unix.SIGURG) //nolint:errcheck // the thread exists until done
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(vcpu), uintptr(run), 0)
	close(done)
	<-stopped
	if errno != 0 {
		return errno
	}
	return nil
}
