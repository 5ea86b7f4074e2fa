// SPDX-License-Identifier: Apache-2.0

// Command oci-runtime is the smallest OCI runtime: every container is a `sleep` on the host, so
// that nothing resident runs from where this program lies.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	global := flag.NewFlagSet("oci-runtime", flag.ContinueOnError)
	root := global.String("root", "/run/oci-runtime", "state directory")
	version := global.Bool("version", false, "print the version")
	for _, ignored := range []string{"log", "log-format"} {
		global.String(ignored, "", "not used")
	}
	if err := global.Parse(args); err != nil {
		return err
	}
	if *version {
		fmt.Println("oci-runtime 1")
		return nil
	}
	return act(*root, global.Arg(0), global.Args())
}

func act(root, action string, args []string) error {
	local := flag.NewFlagSet(action, flag.ContinueOnError)
	bundle, pidFile := local.String("bundle", ".", ""), local.String("pid-file", "", "")
	for _, ignored := range []string{"force", "all", "no-pivot", "no-new-keyring"} {
		local.Bool(ignored, false, "not used")
	}
	if err := local.Parse(args[min(1, len(args)):]); err != nil {
		return err
	}
	state := filepath.Join(root, local.Arg(0))
	switch action {
	case "create":
		return create(state, *bundle, *pidFile)
	case "start":
		return os.WriteFile(filepath.Join(state, "started"), nil, 0o600)
	case "kill":
		return end(state, local.Arg(1))
	case "delete":
		return errors.Join(end(state, "KILL"), os.RemoveAll(state))
	case "state":
		return report(state, local.Arg(0))
	}
	return fmt.Errorf("oci-runtime: unknown command %q", action)
}

func create(state, bundle, pidFile string) error {
	cmd := exec.Command("sleep", "infinity")
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	if err := errors.Join(os.MkdirAll(state, 0o700), cmd.Start()); err != nil {
		return err
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	return errors.Join(
		os.WriteFile(filepath.Join(state, "bundle"), []byte(bundle), 0o600),
		os.WriteFile(filepath.Join(state, "pid"), []byte(pid), 0o600),
		os.WriteFile(pidFile, []byte(pid), 0o600))
}

func end(state, name string) error {
	pid, err := pidOf(state)
	if err != nil {
		return nil // was never made
	}
	signal := syscall.SIGKILL
	if name == "TERM" || name == "15" {
		signal = syscall.SIGTERM
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func report(state, id string) error {
	pid, err := pidOf(state)
	if err != nil {
		return err
	}
	status := "created"
	if _, err := os.Stat(filepath.Join(state, "started")); err == nil {
		status = "running"
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
		status, pid = "stopped", 0
	}
	fmt.Printf(`{"ociVersion":"1.0.2","id":%q,"status":%q,"pid":%d,"bundle":"/"}`+"\n", id, status, pid)
	return nil
}

func pidOf(state string) (int, error) {
	data, err := os.ReadFile(filepath.Join(state, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}
