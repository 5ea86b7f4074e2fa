// SPDX-License-Identifier: Apache-2.0

// Command program stands for every program of a generated archive of Kata. It prints its own name
// for --version. As the first process of a machine it stands for the guest's agent: it prints
// [Greeting] to the console and powers off.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Greeting is the only line of a machine whose first process this is.
const Greeting = "kata-agent of a generated archive"

func main() {
	if os.Getpid() == 1 {
		fmt.Println(Greeting)
		// A machine that is off sends nothing more: as tcdrain(3) does.
		err := unix.IoctlSetInt(syscall.Stdout, unix.TCSBRK, 1)
		fmt.Println(err, syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF))
	}
	fmt.Println(filepath.Base(os.Args[0]), "of a generated archive")
}
