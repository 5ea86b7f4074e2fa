// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests as the first process of a process table of their own: what else runs on
// this machine is neither their business nor always theirs to see.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getpid() != 1 {
		os.Exit(within())
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		fmt.Fprintln(os.Stderr, "mounting a process table:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// within runs this program again in namespaces that end with it.
func within() int {
	again := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // the test program's own deadline ends it
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := again.Run()
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "in a process table of its own:", err)
	return 1
}
