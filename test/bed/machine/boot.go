// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
)

// enterCgroups moves the shell into the cgroups named before "--" and becomes the command after it.
const enterCgroups = `while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"`

// boot is one run of a machine, from power on to power off.
type boot struct {
	// leader is the process that is the machine for the host: a container's PID 1, or QEMU. Zero
	// until ready is closed.
	leader atomic.Int64
	// ready is closed when systemd in the machine has reached basic.target: it takes commands.
	ready chan struct{}
	// ended is closed when nothing of this run is left and next is known.
	ended chan struct{}
	// next is the run that the machine asked for by rebooting, else nil.
	next *boot
	// err is how the run ended; nil after a reboot or a power off.
	err error
}

func newBoot() *boot {
	return &boot{ready: make(chan struct{}), ended: make(chan struct{})}
}

// up closes ready, if it is not closed.
func (b *boot) up() {
	select {
	case <-b.ready:
	default:
		close(b.ready)
	}
}

// await returns when the machine is up, with the reason when it did not come up.
func (b *boot) await(ctx context.Context) error {
	select {
	case <-b.ready:
		return nil
	case <-b.ended:
		return errors.Join(errors.New("machine went off while it booted"), b.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run boots the machine once and returns when it is off; again is true when it wants to be booted
// again.
func (m *Machine) run(ctx context.Context, b *boot) (again bool, err error) {
	if err := removeCgroups(ctx, m.id); err != nil {
		return false, err
	}
	cgroups, err := makeCgroups(m.id)
	if err != nil {
		return false, err
	}
	return m.kind.run(ctx, b, cgroups)
}

// start prepares what runs the machine. It ends when this process ends.
func (m *Machine) start(ctx context.Context, cgroups []string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "sh", slices.Concat([]string{"-c", enterCgroups, "sh"}, cgroups, []string{"--"}, args)...)
	command.Env = []string{"PATH=" + path}
	command.Stdout, command.Stderr = m.console, m.console
	// The caller keeps its thread: the kernel sends the signal when the thread that started the
	// child ends. A session of its own keeps Ctrl-C at the terminal away from the machine.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return command
}

// consoleTail is the end of what the machine's console showed.
func (m *Machine) consoleTail() string {
	content, err := os.ReadFile(filepath.Join(m.dir, "console.log"))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}
