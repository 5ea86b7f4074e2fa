// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

const direction = 0

// ioctls of arch/x86/include/uapi/asm/kvm.h. Their upper half has the size of the structure.
const (
	setMemoryRegion   = 0x4020ae46
	setTSSAddress     = 0xae47
	setRegisters      = 0x4090ae82
	getSpecial        = 0x8138ae83
	setSpecial        = 0x4138ae84
	getSupportedCPUID = 0xc008ae05
	setCPUID          = 0x4008ae90
)

// The guest's memory: page tables that map the first 2 MB onto themselves, and the program.
const (
	tables      = 0x1000
	directories = 0x2000
	directory   = 0x3000
	code        = 0x4000
	memorySize  = 0x5000

	present, writable, large = 1, 2, 0x80
	// tssAddress are three pages that Intel's processors may need, where nothing else lies.
	tssAddress = 0xfffbd000
)

// The program adds two registers and writes the sum to a port, which makes the processor exit.
const (
	port = 0x3f8
	one  = 40
	two  = 2
)

func program() []byte {
	return []byte{
		0x66, 0xba, port & 0xff, port >> 8, // mov $port, %dx
		0x01, 0xd8, // add %ebx, %eax
		0xee, // out %al, (%dx)
		0xf4, // hlt
	}
}

type memoryRegion struct {
	Slot, Flags          uint32
	Guest, Size, Address uint64
}

type registers struct {
	RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP uint64
	R                                      [8]uint64
	RIP, RFlags                            uint64
}

type segment struct {
	Base                                                         uint64
	Limit                                                        uint32
	Selector                                                     uint16
	Type, Present, DPL, DB, S, L, G, Available, Unusable, Unused uint8
}

type special struct {
	CS, DS, ES, FS, GS, SS, TR, LDT     segment
	GDT, IDT                            [2]uint64
	CR0, CR2, CR3, CR4, CR8, EFER, Base uint64
	Interrupts                          [4]uint64
}

// Bits of control registers for 64-bit mode.
const (
	protection, paging        = 1, 1 << 31 // CR0
	extensionType, numericErr = 1 << 4, 1 << 5
	pae                       = 1 << 5          // CR4
	longMode, longModeActive  = 1 << 8, 1 << 10 // EFER
	// reserved is the bit of RFLAGS that is always set.
	reserved = 1 << 1
)

func (v *virtualMachine) prepareVM() error {
	if _, err := v.Call(v.vm, setTSSAddress, tssAddress); err != nil {
		return fmt.Errorf("reserving memory of the processor: %w", err)
	}
	memory, address, err := v.Allocate(memorySize)
	if err != nil {
		return fmt.Errorf("allocating the guest's memory: %w", err)
	}
	v.undo = append(v.undo, func() { v.Unmap(memory) })
	binary.LittleEndian.PutUint64(memory[tables:], directories|present|writable)
	binary.LittleEndian.PutUint64(memory[directories:], directory|present|writable)
	binary.LittleEndian.PutUint64(memory[directory:], present|writable|large)
	copy(memory[code:], program())
	if err := v.Pass(v.vm, setMemoryRegion, structure(memoryRegion{Size: memorySize, Address: address})); err != nil {
		return fmt.Errorf("giving the guest its memory: %w", err)
	}
	return nil
}

// runInstructions runs the program in 64-bit mode, as every kernel of a guest does.
func (v *virtualMachine) runInstructions(ctx context.Context) (bool, error) {
	if err := v.prepareCPU(); err != nil {
		return false, err
	}
	for {
		err := v.Run(ctx, v.vcpu, v.run)
		switch {
		case ctx.Err() != nil:
			return false, fmt.Errorf("running a virtual processor: it did not exit within %s", kvmLimit)
		case interrupted(err):
			continue
		case err != nil:
			return false, fmt.Errorf("running a virtual processor: %w", err)
		}
		return v.exited()
	}
}

func (v *virtualMachine) prepareCPU() error {
	cpuid := make([]byte, 8+cpuidEntries*40)
	binary.NativeEndian.PutUint32(cpuid, cpuidEntries)
	if err := v.Pass(v.kvm, getSupportedCPUID, cpuid); err != nil {
		return fmt.Errorf("asking which processor a guest can have: %w", err)
	}
	if err := v.Pass(v.vcpu, setCPUID, cpuid); err != nil {
		return fmt.Errorf("setting the kind of a virtual processor: %w", err)
	}
	now := make([]byte, binary.Size(special{}))
	if err := v.Pass(v.vcpu, getSpecial, now); err != nil {
		return fmt.Errorf("reading control registers: %w", err)
	}
	if err := v.Pass(v.vcpu, setSpecial, inLongMode(now)); err != nil {
		return fmt.Errorf("setting control registers: %w", err)
	}
	if err := v.Pass(v.vcpu, setRegisters, structure(registers{RAX: one, RBX: two, RIP: code, RFlags: reserved})); err != nil {
		return fmt.Errorf("setting registers: %w", err)
	}
	return nil
}

// cpuidEntries is more than any kernel has; the kernel's own limit is 256.
const cpuidEntries = 256

func inLongMode(registers []byte) []byte {
	var s special
	if _, err := binary.Decode(registers, binary.NativeEndian, &s); err != nil {
		panic(err) // the structure is this package's own
	}
	data := segment{Limit: 0xffffffff, Selector: 2 << 3, Type: 3, Present: 1, DB: 1, S: 1, G: 1}
	s.CS = segment{Limit: 0xffffffff, Selector: 1 << 3, Type: 11, Present: 1, S: 1, L: 1, G: 1}
	s.DS, s.ES, s.FS, s.GS, s.SS = data, data, data, data, data
	s.CR3, s.CR4 = tables, s.CR4|pae
	s.CR0 |= protection | extensionType | numericErr | paging
	s.EFER |= longMode | longModeActive
	return structure(s)
}

// Exits, and where the kernel puts what is known of one.
const (
	exitIO = 2

	exitReason   = 8
	ioDirection  = 32
	ioPort       = 34
	ioOffset     = 40
	directionOut = 1
)

// exited reports whether the processor exits as the program makes it exit.
func (v *virtualMachine) exited() (bool, error) {
	reason := binary.NativeEndian.Uint32(v.run[exitReason:])
	if reason != exitIO {
		return false, fmt.Errorf("running a virtual processor: it ran no instruction of the guest and exited with %s", exitName(reason))
	}
	at := binary.NativeEndian.Uint64(v.run[ioOffset:])
	if v.run[ioDirection] != directionOut || binary.NativeEndian.Uint16(v.run[ioPort:]) != port || at >= uint64(len(v.run)) || v.run[at] != one+two {
		return false, errors.New("running a virtual processor: it exited with another result than that of its program")
	}
	return true, nil
}

// exitName is the kernel's name of an exit, as other programs print it.
func exitName(reason uint32) string {
	names := map[uint32]string{5: "KVM_EXIT_HLT", 8: "KVM_EXIT_SHUTDOWN", 9: "KVM_EXIT_FAIL_ENTRY", 17: "KVM_EXIT_INTERNAL_ERROR"}
	if name, known := names[reason]; known {
		return name
	}
	return fmt.Sprintf("exit reason %d", reason)
}
