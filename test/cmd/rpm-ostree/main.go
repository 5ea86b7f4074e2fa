// SPDX-License-Identifier: Apache-2.0

// Command rpm-ostree stands in for the real program on test nodes, which are no ostree systems. It
// has that one's command line, documents, exit codes and error texts (rpm-ostree 2026.2) as far as
// an agent meets them, and its traps: one transaction at a time, which the same call joins and
// which a program that holds the system keeps from beginning; a staged deployment that a lock keeps
// from booting and that any further change unlocks; transactions that continue without their
// client; and changes to /usr only by a boot or by a live application, which refuses to replace,
// and accepts no other target once it was interrupted.
//
// The system is that of the directory that has the program as usr/bin/rpm-ostree, so that tests can
// have one without a node.
//
// Packages from files are what a test puts into a payload: see rpm. "rpm-ostree boot" is what the
// boot of a real system does before any service starts.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	code, err := execute(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func execute(args []string) (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 1, err
	}
	y := system(strings.TrimSuffix(program, "/usr/bin/rpm-ostree"))
	if len(args) > 0 && args[0] == daemon {
		signal.Ignore(syscall.SIGPIPE) // its caller may have ended
		return y.carryOut(args[1:], os.Stdout)
	}
	return y.run(args, os.Stdout)
}

// said is one of rpm-ostree's own texts.
type said string

func (s said) Error() string { return string(s) }

func sayf(format string, args ...any) error { return said(fmt.Sprintf(format, args...)) }

// unchanged is the exit code of --unchanged-exit-77 and of --pending-exit-77.
const unchanged = 77

func (y system) run(args []string, out io.Writer) (int, error) {
	if len(args) == 0 {
		return 1, said("No command specified")
	}
	c, err := parse(args)
	if err != nil {
		return 1, err
	}
	switch c.name {
	case "--version":
		fmt.Fprint(out, "rpm-ostree:\n Version: '2026.2'\n Git: stand-in\n Features:\n  - rust\n  - compose\n  - container\n")
		return 0, nil
	case "status":
		return y.status(c, out)
	case "boot":
		return 0, y.boot()
	case "cancel":
		return 0, y.cancel(out)
	case "install", "uninstall", "apply-live", "cleanup", "upgrade", "finalize-deployment":
		return y.ask(c, args, out)
	}
	return 1, sayf("Unknown command '%s'", c.name)
}

// command is a parsed command line.
type command struct {
	name string
	args []string
	// uninstall are the values of --uninstall.
	uninstall []string
	flags     map[string]bool
}

// short are flags with one letter.
var short = map[string]string{"-y": "--assumeyes", "-A": "--apply-live", "-p": "--pending", "-r": "--rollback"}

// known are flags by command.
var known = map[string][]string{
	"status":              {"--json", "--pending-exit-77"},
	"install":             {"--assumeyes", "--idempotent", "--apply-live", "--unchanged-exit-77", "--lock-finalization", "--cache-only"},
	"uninstall":           {"--assumeyes", "--idempotent", "--unchanged-exit-77", "--lock-finalization"},
	"apply-live":          {"--allow-replacement"},
	"cleanup":             {"--pending", "--rollback"},
	"upgrade":             {"--lock-finalization", "--unchanged-exit-77", "--bypass-driver"},
	"finalize-deployment": {"--allow-missing-checksum"},
}

func parse(args []string) (command, error) {
	c := command{name: args[0], flags: map[string]bool{}}
	for _, arg := range args[1:] {
		if long, ok := short[arg]; ok {
			arg = long
		}
		value, isUninstall := strings.CutPrefix(arg, "--uninstall=")
		switch {
		case isUninstall:
			c.uninstall = append(c.uninstall, value)
		case !strings.HasPrefix(arg, "-"):
			c.args = append(c.args, arg)
		case slices.Contains(known[c.name], arg):
			c.flags[arg] = true
		default:
			return c, sayf("Unknown option %s", arg)
		}
	}
	if c.name == "install" && len(c.args) == 0 || c.name == "uninstall" && len(c.args) == 0 {
		return c, said("At least one PACKAGE must be specified")
	}
	return c, nil
}
