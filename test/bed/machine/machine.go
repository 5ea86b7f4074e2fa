// SPDX-License-Identifier: Apache-2.0

// Package machine runs Debian machines with a real systemd, which boot, reboot and lose power: in
// systemd-nspawn, where they share the kernel with the host and have cgroups, a network and a root
// of their own, or emulated by QEMU, where they have a kernel with KVM and a disk too. They do not
// outlive the process that started them.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// path is where programs are looked up, on the host for systemd-nspawn and in the machine for Exec.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// kind is what a machine runs in.
type kind interface {
	// assemble makes the root, and connects the network, of a machine that is new.
	assemble(ctx context.Context, disk Disk) error
	// run boots the machine once, with its process in the given cgroups, and returns when it is
	// off; again is true when it asked to be booted again.
	run(ctx context.Context, b *boot, cgroups []string) (again bool, err error)
	// command prepares a command in the machine while it is on.
	command(ctx context.Context, b *boot, args []string) *exec.Cmd
	// read and write are [Machine.ReadFile] and [Machine.WriteFile].
	read(ctx context.Context, path string) ([]byte, error)
	write(path string, content []byte, mode fs.FileMode) error
	// see is the path of a directory with the machine's files that the patterns name, at least.
	see(ctx context.Context, patterns []string) (string, error)
	// shell is a command line that opens a shell in the machine that is on.
	shell(b *boot) string
	// live is the path of the files of the machine that is on.
	live(b *boot) string
	// listen opens a TCP port that the machine can reach, served by this process.
	listen(ctx context.Context) (net.Listener, error)
}

// Machine is one machine, on or off. Its methods may be called from several goroutines, but its
// power switch has room for one hand.
type Machine struct {
	name string
	// id is the name among everything on this host: owner and name.
	id      string
	dir     string
	root    string
	kind    kind
	console *os.File
	network network
	// mounted is what the host has mounted below the root.
	mounted []string
	done    sync.WaitGroup
	removed atomic.Bool

	mu      sync.Mutex
	current *boot
}

// New makes a container that is off: its root, its host name, and a machine id that stays the same
// over its boots. Everything it writes goes below home, see [Home].
func New(ctx context.Context, home, name string, disk Disk) (*Machine, error) {
	return newMachine(ctx, home, name, disk, func(m *Machine) kind { return container{m} })
}

// NewEmulated is [New] for a virtual machine, whose disk has [EmulatedBase] below its other layers.
// Its kernel enforces an SELinux policy of this package.
// Its files are seen from the host while it is off only, except by [Machine.ReadFile].
func NewEmulated(ctx context.Context, home, name string, disk Disk) (*Machine, error) {
	return newMachine(ctx, home, name, disk, func(m *Machine) kind { return emulated{m} })
}

func newMachine(ctx context.Context, home, name string, disk Disk, in func(*Machine) kind) (*Machine, error) {
	tag := filepath.Base(home)
	if _, ours := parseTag(tag); !ours {
		return nil, fmt.Errorf("making machine %q: %s was not made by machine.Home", name, home)
	}
	m := &Machine{name: name, id: tag + "-" + name, dir: filepath.Join(home, name), mounted: slices.Concat(disk.Real, slices.Sorted(maps.Keys(disk.Shared)))}
	if _, err := os.Stat(m.dir); err == nil {
		return nil, fmt.Errorf("making machine %q: there is one of that name; remove it first", name)
	}
	m.kind, m.root = in(m), filepath.Join(m.dir, "root")
	if err := m.assemble(ctx, disk); err != nil {
		return nil, errors.Join(fmt.Errorf("making machine %q: %w", name, err), m.Remove(ctx))
	}
	return m, nil
}

func (m *Machine) assemble(ctx context.Context, disk Disk) (err error) {
	if err := os.MkdirAll(m.root, 0o755); err != nil {
		return err
	}
	if m.network, err = newNetwork(ctx, filepath.Join(m.dir, "network")); err != nil {
		return err
	}
	if err := m.kind.assemble(ctx, disk); err != nil {
		return err
	}
	if m.console, err = os.OpenFile(filepath.Join(m.dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	machineID, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return err
	}
	return errors.Join(
		m.WriteFile("/etc/hostname", []byte(m.name+"\n"), 0o644),
		m.WriteFile("/etc/machine-id", []byte(strings.ReplaceAll(string(machineID), "-", "")), 0o444),
	)
}

// Name is the machine's host name.
func (m *Machine) Name() string { return m.name }

// Address is the machine's address on its link to the host.
func (m *Machine) Address() netip.Addr { return m.network.machine.Addr() }

// Listen opens a port for the machine that this process serves, whether the machine is on or off:
// on a container's loopback address, or on the host's end of a virtual machine's link. It has the
// lifetime of the machine's network: all its boots.
func (m *Machine) Listen(ctx context.Context) (net.Listener, error) {
	listener, err := m.kind.listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", m.name, err)
	}
	return listener, nil
}

// Root is the machine's disk as the host sees it: what is there while the machine is off.
// What the machine mounted, its /run for one, is not there; see [Machine.Live].
func (m *Machine) Root() string { return m.root }

// Boot switches the machine on and returns when its systemd has reached basic.target. Services may
// still be starting.
func (m *Machine) Boot(ctx context.Context) error {
	m.mu.Lock()
	if m.current != nil {
		m.mu.Unlock()
		return fmt.Errorf("booting %q: it is on", m.name)
	}
	first := newBoot()
	m.current = first
	m.mu.Unlock()
	m.done.Go(func() { m.supervise(context.WithoutCancel(ctx), first) })
	if err := first.await(ctx); err != nil {
		return fmt.Errorf("booting %q: %w", m.name, err)
	}
	return nil
}

// supervise boots the machine as often as it reboots by itself.
func (m *Machine) supervise(ctx context.Context, b *boot) {
	// Never unlocked: the thread ends with this goroutine, see nspawn.
	runtime.LockOSThread()
	for b != nil {
		again, err := m.run(ctx, b)
		b.err = err
		if again && !m.removed.Load() {
			b.next = newBoot()
		}
		m.mu.Lock()
		m.current = b.next
		m.mu.Unlock()
		close(b.ended)
		b = b.next
	}
}

// Reboot reboots the machine in good order and returns when it is up again.
func (m *Machine) Reboot(ctx context.Context) error {
	b, err := m.shutdown(ctx, "reboot")
	if err != nil {
		return fmt.Errorf("rebooting %q: %w", m.name, err)
	}
	if b.next == nil {
		return fmt.Errorf("rebooting %q: it went off instead: %w", m.name, b.err)
	}
	if err := b.next.await(ctx); err != nil {
		return fmt.Errorf("rebooting %q: %w", m.name, err)
	}
	return nil
}

// PowerOff shuts the machine down in good order and returns when it is off.
func (m *Machine) PowerOff(ctx context.Context) error {
	if _, err := m.shutdown(ctx, "poweroff"); err != nil {
		return fmt.Errorf("powering off %q: %w", m.name, err)
	}
	return nil
}

func (m *Machine) shutdown(ctx context.Context, verb string) (*boot, error) {
	b, err := m.running()
	if err != nil {
		return nil, err
	}
	// The command may be killed by what it asked for, so its end says nothing.
	_, _ = m.Exec(ctx, "systemctl", verb) //nolint:errcheck // See above; a machine that stays on is seen below.
	select {
	case <-b.ended:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// CutPower ends every process of the machine at once and leaves it off, without notice to any of
// them. A container keeps what it had written, synced or not, because the host's page cache keeps
// its power. A virtual machine loses what its kernel had not written to its disk yet.
func (m *Machine) CutPower(ctx context.Context) error {
	b, err := m.running()
	if err != nil {
		return fmt.Errorf("cutting power of %q: %w", m.name, err)
	}
	if err := b.await(ctx); err != nil {
		return fmt.Errorf("cutting power of %q: %w", m.name, err)
	}
	if err := unix.Kill(int(b.leader.Load()), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cutting power of %q: %w", m.name, err)
	}
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cutting power of %q: %w", m.name, ctx.Err())
	}
}

// PowerCut cuts the power and gives it back: an unclean reboot.
func (m *Machine) PowerCut(ctx context.Context) error {
	if err := m.CutPower(ctx); err != nil {
		return err
	}
	return m.Boot(ctx)
}

// running is the boot that the machine is in.
func (m *Machine) running() (*boot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return nil, fmt.Errorf("machine %q is off", m.name)
	}
	return m.current, nil
}

// Remove cuts the power and takes away everything that the machine is made of. It may be called
// again.
func (m *Machine) Remove(ctx context.Context) error {
	m.removed.Store(true)
	off := make(chan struct{})
	go func() {
		defer close(off)
		m.done.Wait()
	}()
	// A machine that is just rebooting makes its cgroups anew, once at most.
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := removeCgroups(ctx, m.id)
		select {
		case <-off:
			return true, err
		default:
			return false, err
		}
	})
	if m.console != nil {
		m.console.Close()
	}
	return errors.Join(err, removeCgroups(ctx, m.id), removePropagate(m.id), removeDirectory(m.dir))
}
