// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// sshConfig of one machine. Its commands share the connection that connect keeps open, because a
// connection costs an emulated processor a second and more. The socket's path is relative: the
// checkout's may be too long for one.
const sshConfig = `Host *
HostName %s
User root
IdentityFile %s
BatchMode yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
ControlPath ./ssh.socket
ConnectTimeout 30
`

// booted waits in the machine for basic.target, then keeps the connection.
const booted = `until systemctl is-active --quiet basic.target; do sleep 0.2; done; echo; exec sleep infinity`

// exitNoInput is how reading a file ends that is not there.
const exitNoInput = 66

// commands counts the commands of this process, to name the files of their process ids.
var commands atomic.Int64

// makeKey makes the key that lets this process into the machine, and returns its public half.
func (e emulated) makeKey(ctx context.Context) ([]byte, error) {
	key := filepath.Join(e.dir, "ssh.key")
	if err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", e.id, "-f", key); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(e.dir, "ssh.conf"), fmt.Appendf(nil, sshConfig, e.Address(), key), 0o600); err != nil {
		return nil, err
	}
	return os.ReadFile(key + ".pub")
}

func (e emulated) ssh(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "ssh", append([]string{"-F", filepath.Join(e.dir, "ssh.conf")}, args...)...)
	command.Dir = e.dir
	return command
}

// connect keeps a connection to the machine, as often as it is lost, until ctx is done.
func (e emulated) connect(ctx context.Context, b *boot) error {
	runtime.LockOSThread() // Never unlocked: the thread ends with this goroutine, see Machine.start.
	for ctx.Err() == nil {
		if err := os.Remove(filepath.Join(e.dir, "ssh.socket")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		master := e.ssh(ctx, "-M", "-o", "ConnectionAttempts=600", e.name, booted)
		master.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
		out, err := master.StdoutPipe()
		if err != nil {
			return err
		}
		if err := master.Start(); err != nil {
			return fmt.Errorf("connecting to %q: %w", e.name, err)
		}
		if n, _ := out.Read(make([]byte, 1)); n == 1 { //nolint:errcheck // The end of the connection ends this, too.
			b.up()
		}
		_ = master.Wait() //nolint:errcheck // A connection ends with the machine.
	}
	return nil
}

// command runs a command through the connection. Given up, it is killed in the machine as well,
// with its process group.
func (e emulated) command(ctx context.Context, _ *boot, args []string) *exec.Cmd {
	pid := "/run/bed-command-" + strconv.FormatInt(commands.Add(1), 10)
	remote := slices.Concat([]string{"env", "-i"}, environment(), []string{"sh", "-c", `echo $$ > "$0"; exec "$@"`, pid}, args)
	command := e.ssh(ctx, e.name, quoted(remote))
	command.Cancel = func() error {
		kill := e.ssh(context.WithoutCancel(ctx), e.name, "kill -9 -- -$(cat "+pid+")")
		return errors.Join(kill.Start(), unix.Kill(command.Process.Pid, unix.SIGKILL))
	}
	return command
}

// shell does not share the connection, whose socket is found from one directory only.
func (e emulated) shell(*boot) string {
	return "ssh -t -F " + filepath.Join(e.dir, "ssh.conf") + " " + e.name
}

// quoted is a command line of a shell.
func quoted(args []string) string {
	line := make([]string, len(args))
	for i, arg := range args {
		line[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return strings.Join(line, " ")
}

// read asks the machine that is on.
func (e emulated) read(ctx context.Context, path string) ([]byte, error) {
	if _, err := e.running(); err != nil {
		return e.Machine.read(ctx, path)
	}
	content, err := e.Exec(ctx, "sh", "-c", `[ -e "$0" ] || exit `+strconv.Itoa(exitNoInput)+`; exec cat "$0"`, path)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitNoInput {
		return nil, fs.ErrNotExist
	}
	return content, err
}

// write asks the machine that is on.
func (e emulated) write(path string, content []byte, mode fs.FileMode) error {
	if _, err := e.running(); err != nil {
		return e.Machine.write(path, content, mode)
	}
	command, err := e.Command(context.Background(), "install", "-D", "-m", strconv.FormatUint(uint64(mode.Perm()), 8), "/dev/stdin", path)
	if err != nil {
		return err
	}
	command.Stdin = bytes.NewReader(content)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// archive has the files that patterns, its arguments, name below the root.
const archive = `cd /; for f in $*; do [ -e "$f" ] && echo "$f"; done | tar -c --numeric-owner -T -`

// see copies what the patterns name from the machine that is on.
func (e emulated) see(ctx context.Context, patterns []string) (string, error) {
	if _, err := e.running(); err != nil {
		return e.root, nil //nolint:nilerr // It is off.
	}
	script := []string{"sh", "-c", archive, "sh"}
	for _, pattern := range patterns {
		script = append(script, relative(pattern))
	}
	files, err := e.Exec(ctx, script...)
	if err != nil {
		return "", err
	}
	seen := filepath.Join(e.dir, "seen")
	if err := errors.Join(os.RemoveAll(seen), os.Mkdir(seen, 0o755)); err != nil {
		return "", err
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-p", "--numeric-owner", "-C", seen)
	unpack.Stdin = bytes.NewReader(files)
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking files of %q: %w: %s", e.name, err, bytes.TrimSpace(out))
	}
	return seen, nil
}
