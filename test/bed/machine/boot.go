// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// exitReboot is how systemd-nspawn ends with --keep-unit when the machine asked for a reboot.
const exitReboot = 133

// enterCgroups moves the shell into the cgroups named before "--" and becomes the command after it.
const enterCgroups = `while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"`

// boot is one run of a machine, from power on to power off.
type boot struct {
	// leader is the machine's PID 1 as the host sees it; zero until ready is closed.
	leader atomic.Int64
	// ready is closed when systemd in the machine has reached basic.target: its D-Bus answers.
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
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "unixgram", "@"+m.id)
	if err != nil {
		return false, fmt.Errorf("listening for the machine's notifications: %w", err)
	}
	defer socket.Close() //nolint:errcheck // Nothing is read from it any more.
	go b.follow(socket)

	err = m.nspawn(ctx, cgroups).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitReboot {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("running systemd-nspawn: %w\n%s", err, m.consoleTail())
	}
	return false, nil
}

// nspawn is the command of one boot. The kernel is the host's; its settings are read-only for the
// machine, except those of its network.
func (m *Machine) nspawn(ctx context.Context, cgroups []string) *exec.Cmd {
	args := append([]string{"-c", enterCgroups, "sh"}, cgroups...)
	args = append(args, "--", "systemd-nspawn",
		"--quiet", "--boot", "--directory="+m.root, "--machine="+m.id, "--hostname="+m.name, "--network-namespace-path="+m.network.file,
		"--keep-unit", "--register=no", "--console=pipe", "--notify-ready=yes", "--capability=all",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no")
	command := exec.CommandContext(ctx, "sh", args...)
	command.Env = []string{"PATH=" + path, "NOTIFY_SOCKET=@" + m.id, "SYSTEMD_SECCOMP=0"}
	command.Stdout, command.Stderr = m.console, m.console
	// The caller keeps its thread: the kernel sends the signal when the thread that started the
	// child ends. A session of its own keeps Ctrl-C at the terminal away from the machine.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return command
}

// follow reads what systemd-nspawn passes on from the machine, see sd_notify(3), until the socket
// is closed.
func (b *boot) follow(socket net.PacketConn) {
	buffer := make([]byte, 4096)
	for {
		n, _, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(buffer[:n])) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "X_NSPAWN_LEADER_PID":
				pid, _ := strconv.ParseInt(value, 10, 64) //nolint:errcheck // Zero means unknown.
				b.leader.Store(pid)
			case "READY":
				select {
				case <-b.ready:
				default:
					close(b.ready)
				}
			}
		}
	}
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
