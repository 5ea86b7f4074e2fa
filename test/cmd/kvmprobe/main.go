// SPDX-License-Identifier: Apache-2.0

// Command kvmprobe runs a few instructions on a virtual processor of /dev/kvm, which add two
// numbers, and prints the sum. As the first process of a machine it prints [Greeting] and powers
// off.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Greeting is the only line of a machine whose first process this is.
const Greeting = "kvmprobe is the first process"

// Requests of linux/kvm.h for x86-64.
const (
	createVM        = 0xae01
	getVCPUMmapSize = 0xae04
	setMemory       = 0x4020ae46
	createVCPU      = 0xae41
	run             = 0xae80
	setRegisters    = 0x4090ae82
	getSegments     = 0x8138ae83
	setSegments     = 0x4138ae84
)

// Reasons for which a virtual processor stops.
const (
	exitIO   = 2
	exitHalt = 5
)

const (
	start    = 0x1000 // Where the code is in the guest's memory.
	pageSize = 4096
	// Offsets in struct kvm_run.
	exitReason, ioOffset = 8, 40
)

// code adds ax and bx, writes the sum as a digit to the first serial port, and halts.
func code() []byte {
	return []byte{0xba, 0xf8, 0x03, 0x00, 0xd8, 0x04, '0', 0xee, 0xf4}
}

// region is struct kvm_userspace_memory_region.
type region struct {
	slot, flags         uint32
	guest, size, memory uint64
}

// registers is the order of struct kvm_regs.
type registers struct {
	rax, rbx uint64
	_        [14]uint64
	rip      uint64
	rflags   uint64
}

func main() {
	if os.Getpid() == 1 {
		fmt.Println(Greeting)
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) //nolint:errcheck // It does not return.
	}
	out, err := probe()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kvmprobe:", err)
		os.Exit(1)
	}
	fmt.Printf("2 + 3 = %s\n", out)
}

// probe returns what the guest wrote.
func probe() ([]byte, error) {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer kvm.Close()
	vm, err := ioctl(kvm.Fd(), createVM, 0)
	if err != nil {
		return nil, fmt.Errorf("making a virtual machine: %w", err)
	}
	memory, err := unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("making memory: %w", err)
	}
	copy(memory, code())
	ram := region{guest: start, size: pageSize, memory: uint64(uintptr(unsafe.Pointer(&memory[0])))}
	if _, err := ioctl(vm, setMemory, uintptr(unsafe.Pointer(&ram))); err != nil {
		return nil, fmt.Errorf("giving memory: %w", err)
	}
	vcpu, err := ioctl(vm, createVCPU, 0)
	if err != nil {
		return nil, fmt.Errorf("making a virtual processor: %w", err)
	}
	size, err := ioctl(kvm.Fd(), getVCPUMmapSize, 0)
	if err != nil {
		return nil, err
	}
	state, err := unix.Mmap(int(vcpu), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED) //nolint:gosec // Descriptors and sizes fit.
	if err != nil {
		return nil, fmt.Errorf("mapping the processor's state: %w", err)
	}
	return execute(vcpu, state)
}

// execute runs the code in real mode until it halts.
func execute(vcpu uintptr, state []byte) ([]byte, error) {
	var segments [312]byte // struct kvm_sregs begins with cs: base, limit, selector.
	if _, err := ioctl(vcpu, getSegments, uintptr(unsafe.Pointer(&segments))); err != nil {
		return nil, err
	}
	clear(segments[:8])
	clear(segments[12:14])
	if _, err := ioctl(vcpu, setSegments, uintptr(unsafe.Pointer(&segments))); err != nil {
		return nil, err
	}
	set := registers{rax: 2, rbx: 3, rip: start, rflags: 2}
	if _, err := ioctl(vcpu, setRegisters, uintptr(unsafe.Pointer(&set))); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for {
		if _, err := ioctl(vcpu, run, 0); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("running: %w", err)
		}
		switch reason := *(*uint32)(unsafe.Pointer(&state[exitReason])); reason {
		case exitIO:
			out.WriteByte(state[*(*uint64)(unsafe.Pointer(&state[ioOffset]))])
		case exitHalt:
			return out.Bytes(), nil
		default:
			return nil, fmt.Errorf("running: the processor stopped for reason %d", reason)
		}
	}
}

func ioctl(file, request, argument uintptr) (uintptr, error) {
	result, _, errno := unix.Syscall(unix.SYS_IOCTL, file, request, argument)
	if errno != 0 {
		return 0, errno
	}
	return result, nil
}
