// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// ioctls of include/uapi/linux/kvm.h. direction is what _IO puts into the upper bits.
const (
	getAPIVersion   = direction | 0xae00
	createVM        = direction | 0xae01
	getVCPUMmapSize = direction | 0xae04
	createVCPU      = direction | 0xae41
)

// apiVersion is the one of every kernel since 2.6.22.
const apiVersion = 12

// device is the kernel's part of a virtual machine.
type device interface {
	memory
	Open(path string) (int, error)
	Close(fd int)
	// Call is an ioctl with a number, Pass one with a structure, which the kernel may write to.
	Call(fd int, request uint, argument int) (int, error)
	Pass(fd int, request uint, structure []byte) error
	// Run lets a virtual processor run until it exits or the context ends.
	Run(ctx context.Context, vcpu int, run []byte) error
}

// memory is what processes and virtual machines share.
type memory interface {
	// Map maps what a descriptor shares. Allocate returns memory of this process and its address.
	Map(fd, size int) ([]byte, error)
	Allocate(size int) (memory []byte, address uint64, err error)
	Unmap(memory []byte)
}

// virtualMachine is one that is being tried.
type virtualMachine struct {
	device
	kvm, vm, vcpu int
	// run is what the kernel shares about the virtual processor.
	run []byte
	// undo releases everything, last first.
	undo []func()
}

// tryKVM creates a virtual machine with one processor, lets it run where this architecture is known
// here, and removes it.
func tryKVM(ctx context.Context, d device, path string) host.KVM {
	ctx, cancel := context.WithTimeout(ctx, kvmLimit)
	defer cancel()
	v := &virtualMachine{device: d}
	defer v.release()
	err := v.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return host.KVM{}
	}
	found := host.KVM{Device: true}
	if err == nil {
		err = v.create()
	}
	if err == nil {
		found.Ran, err = v.runInstructions(ctx)
	}
	if err != nil {
		found.Problem = err.Error()
	}
	return found
}

// kvmLimit bounds what the virtual processor may take; its few instructions take microseconds, and
// milliseconds where the host is emulated.
const kvmLimit = 5 * time.Second

func (v *virtualMachine) release() {
	for _, undo := range slices.Backward(v.undo) {
		undo()
	}
}

func (v *virtualMachine) closeLater(fd int) {
	v.undo = append(v.undo, func() { v.Close(fd) })
}

func (v *virtualMachine) open(path string) (err error) {
	if v.kvm, err = v.Open(path); err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	v.closeLater(v.kvm)
	version, err := v.Call(v.kvm, getAPIVersion, 0)
	if err != nil {
		return fmt.Errorf("asking for the version of its interface: %w", err)
	}
	if version != apiVersion {
		return fmt.Errorf("its interface has version %d, not %d", version, apiVersion)
	}
	return nil
}

func (v *virtualMachine) create() (err error) {
	if v.vm, err = v.Call(v.kvm, createVM, 0); err != nil {
		return fmt.Errorf("creating a virtual machine: %w", err)
	}
	v.closeLater(v.vm)
	if err := v.prepareVM(); err != nil {
		return err
	}
	if v.vcpu, err = v.Call(v.vm, createVCPU, 0); err != nil {
		return fmt.Errorf("creating a virtual processor: %w", err)
	}
	v.closeLater(v.vcpu)
	size, err := v.Call(v.kvm, getVCPUMmapSize, 0)
	if err != nil {
		return fmt.Errorf("asking for the size of a virtual processor's state: %w", err)
	}
	if v.run, err = v.Map(v.vcpu, size); err != nil {
		return fmt.Errorf("mapping a virtual processor's state: %w", err)
	}
	run := v.run
	v.undo = append(v.undo, func() { v.Unmap(run) })
	return nil
}

// structure returns the bytes that the kernel reads. All structures here have fixed sizes.
func structure(value any) []byte {
	bytes, err := binary.Append(nil, binary.NativeEndian, value)
	if err != nil {
		panic(err) // the structure is this package's own
	}
	return bytes
}

// interrupted is what an exit says that a signal has caused.
func interrupted(err error) bool { return errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) }
