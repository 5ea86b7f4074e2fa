// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitReboot is how systemd-nspawn ends with --keep-unit when the machine asked for a reboot.
const exitReboot = 133

// container is a machine that shares the host's kernel, in systemd-nspawn.
type container struct{ *Machine }

// assemble mounts the root and gives the container its address.
func (c container) assemble(ctx context.Context, disk Disk) error {
	if err := allowInotify(); err != nil {
		return fmt.Errorf("raising the host's limit of inotify instances: %w", err)
	}
	if err := mountRoot(c.dir, disk); err != nil {
		return err
	}
	return c.network.address(ctx)
}

// listen opens a port on the container's own loopback address.
func (c container) listen(ctx context.Context) (net.Listener, error) { return c.network.listen(ctx) }

// run boots the container once.
func (c container) run(ctx context.Context, b *boot, cgroups []string) (again bool, err error) {
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "unixgram", "@"+c.id)
	if err != nil {
		return false, fmt.Errorf("listening for the machine's notifications: %w", err)
	}
	defer socket.Close() //nolint:errcheck // Nothing is read from it any more.
	go b.follow(socket)

	err = c.nspawn(ctx, cgroups).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitReboot {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("running systemd-nspawn: %w\n%s", err, c.consoleTail())
	}
	return false, nil
}

// nspawn is the command of one boot. The kernel is the host's; its settings are read-only for the
// machine.
func (c container) nspawn(ctx context.Context, cgroups []string) *exec.Cmd {
	command := c.start(ctx, cgroups, "systemd-nspawn",
		"--quiet", "--boot", "--directory="+c.root, "--machine="+c.id, "--hostname="+c.name, "--network-namespace-path="+c.network.file,
		"--keep-unit", "--register=no", "--console=pipe", "--notify-ready=yes", "--capability=all",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no")
	command.Env = append(command.Env, "NOTIFY_SOCKET=@"+c.id, "SYSTEMD_SECCOMP=0")
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
				b.up()
			}
		}
	}
}

// command enters the container's namespaces, but not its cgroups.
func (c container) command(ctx context.Context, b *boot, args []string) *exec.Cmd {
	enter := c.enter(b)
	command := exec.CommandContext(ctx, enter[0], append(enter[1:], args...)...)
	command.Env = environment()
	// nsenter forks; killing it alone would leave the command behind.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return unix.Kill(-command.Process.Pid, unix.SIGKILL) }
	return command
}

// shell is the command of a shell.
func (c container) shell(b *boot) string { return strings.Join(append(c.enter(b), "bash"), " ") }

func (container) enter(b *boot) []string {
	return []string{"nsenter", "-t", strconv.FormatInt(b.leader.Load(), 10), "-m", "-u", "-i", "-n", "-p", "-C", "--"}
}

// see is the whole root.
func (c container) see(ctx context.Context, _ []string) (string, error) { return c.Live(ctx), nil }

// live is where the host sees the files of the running container.
func (c container) live(b *boot) string { return fmt.Sprintf("/proc/%d/root", b.leader.Load()) }
