// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// daemon is the first argument of the process that carries a transaction out. On a real system that
// is rpm-ostreed.service.
const daemon = "--daemon"

// running is the transaction under way.
type running struct {
	Method string `json:"method"`
	Title  string `json:"title"`
	Sender string `json:"sender"`
}

// ask has the daemon carry a change out, and waits for its end. The same call as the one that is
// under way waits for that one's.
func (y system) ask(c command, args []string, out io.Writer) (int, error) {
	if other, busy := y.current(); busy && other.Title == c.title() {
		fmt.Fprintln(out, "Attaching to existing transaction: "+other.Title)
		for busy {
			time.Sleep(20 * time.Millisecond) //nolint:forbidigo // another process ends it
			_, busy = y.current()
		}
		return 0, nil
	}
	said, err := os.CreateTemp("", "rpm-ostree-")
	if err != nil {
		return 1, err
	}
	defer said.Close()
	if err := os.Remove(said.Name()); err != nil {
		return 1, err
	}
	process := y.process(args)
	process.Stdout, process.Stderr = said, said
	if err := process.Run(); process.ProcessState == nil {
		return 1, err
	}
	if _, err := said.Seek(0, io.SeekStart); err != nil {
		return 1, err
	}
	code := process.ProcessState.ExitCode()
	if code != 0 && code != unchanged {
		out = os.Stderr
	}
	_, err = io.Copy(out, said)
	return code, err
}

// process is one that does not end with its caller: of a unit of its own where there is systemd.
func (y system) process(args []string) *exec.Cmd {
	program, client := y.at("/usr/bin/rpm-ostree"), "RPMOSTREE_CLIENT_ID="+os.Getenv("RPMOSTREE_CLIENT_ID")
	command := append([]string{program, daemon}, args...)
	if y == "" {
		command = append([]string{"systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--setenv=" + client}, command...)
	}
	process := exec.Command(command[0], command[1:]...) //nolint:gosec // this program
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return process
}

// begin takes the one place that there is for a transaction. Where it is taken, the error is
// rpm-ostree's. The kernel gives the place back with the process.
func (y system) begin(r running) (end func(), err error) {
	if err := os.MkdirAll(filepath.Dir(y.at(lockFile)), 0o755); err != nil {
		return nil, err
	}
	if holder, err := os.Open(y.at(sysroot)); err == nil {
		defer holder.Close()
		if errors.Is(unix.Flock(int(holder.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
			return nil, said("System transaction in progress")
		}
	}
	lock, err := os.OpenFile(y.at(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		other, _ := y.current() //nolint:errcheck // without it the title is empty
		return nil, errors.Join(sayf("Updating deployment: GDBus.Error:org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code26: Transaction in progress: %s\n You can cancel the current transaction with `rpm-ostree cancel`", other.Title), lock.Close())
	}
	content, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(y.at(transaction), content, 0o600); err != nil {
		return nil, err
	}
	return func() {
		_ = os.Remove(y.at(transaction)) //nolint:errcheck // it ends with the boot
		_ = lock.Close()                 //nolint:errcheck // as above
	}, nil
}

// current returns the transaction under way: a file that a process left which was killed is none.
func (y system) current() (running, bool) {
	var r running
	lock, err := os.OpenFile(y.at(lockFile), os.O_RDWR, 0o600)
	if err != nil {
		return r, false
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return r, false
	}
	content, err := os.ReadFile(y.at(transaction))
	return r, err == nil && json.Unmarshal(content, &r) == nil
}

func (y system) cancel(out io.Writer) error {
	if _, busy := y.current(); !busy {
		fmt.Fprintln(out, "No active transaction.")
		return nil
	}
	if err := os.Remove(y.at(held)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fmt.Fprintln(out, "Cancelled.")
	return nil
}

// driven is the name of the program that drives updates, empty where none does.
func (y system) driven() string {
	content, _ := os.ReadFile(y.at(driver)) //nolint:errcheck // none, then
	return strings.TrimSpace(string(content))
}
