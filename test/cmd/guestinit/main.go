// SPDX-License-Identifier: Apache-2.0

// Command guestinit is the first process of the test payload's guest, and stands for its agent: it
// loads the modules that the host has added, prints what the kernel runs then, and answers over
// vsock. Where it ends, the kernel panics.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// loadList has a module's path per line, in order of loading (nodeagent/guest).
	loadList = "/etc/kata-guest/modules.load"
	// port is where the guest's agent listens (vSockPort in Kata's shims).
	port = 1024
)

// ready begins the last line of a guest that answers.
const ready = "guestinit: ready with the modules"

func main() {
	fmt.Println("guestinit:", run())
	flush()
	os.Exit(1)
}

// run returns only when it has failed.
func run() error {
	list, err := os.ReadFile(loadList)
	if err != nil {
		return err
	}
	for module := range strings.FieldsSeq(string(list)) {
		if err := load(module); err != nil {
			return fmt.Errorf("loading %s: %w", module, err)
		}
	}
	loaded, err := modules()
	if err != nil {
		return err
	}
	listener, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a vsock: %w", err)
	}
	if err := unix.Bind(listener, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: port}); err != nil {
		return fmt.Errorf("binding vsock port %d: %w", port, err)
	}
	fmt.Println(ready, strings.Join(loaded, " "))
	flush() // The host may end this machine as soon as it listens.
	if err := unix.Listen(listener, 1); err != nil {
		return fmt.Errorf("listening on vsock port %d: %w", port, err)
	}
	for {
		connection, _, err := unix.Accept(listener)
		if err == nil {
			err = unix.Close(connection)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("answering on vsock port %d: %w", port, err)
		}
	}
}

func load(module string) error {
	f, err := os.Open(module)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0) //nolint:gosec // A descriptor fits.
}

// modules returns the names of those that the kernel has.
func modules() ([]string, error) {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return nil, fmt.Errorf("mounting /proc: %w", err)
	}
	table, err := os.ReadFile("/proc/modules")
	var names []string
	for line := range strings.Lines(string(table)) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return names, err
}

// flush returns once the console has printed everything.
func flush() {
	_ = unix.IoctlSetInt(int(os.Stdout.Fd()), unix.TCSBRK, 1) //nolint:errcheck,gosec // It is for people.
}
