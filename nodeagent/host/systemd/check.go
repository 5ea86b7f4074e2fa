// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// checkLimit is far beyond the fraction of a second that CRI-O takes to decode its configuration.
const checkLimit = 20 * time.Second

// Check lets CRI-O's own program decode its whole configuration, as it does at its start. The
// program is the one that the unit starts. A unit that starts something else, or a program that is
// not there, is not judged.
func (m Manager) Check(ctx context.Context, name string) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	property, err := conn.GetServicePropertyContext(ctx, name, "ExecStart")
	if err != nil {
		return fmt.Errorf("reading how %s starts: %w", name, err)
	}
	u, err := m.Unit(ctx, name)
	if err != nil {
		return err
	}
	path, argv := program(property.Value.Value())
	argv, environment := running(u.MainPID, argv)
	command := configCommand(path, argv)
	if command == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	return decode(ctx, command, environment)
}

// running returns the arguments and the settings of the process that runs: systemd expands
// variables in a unit's command only when it starts it. Without a process, the unit's own arguments
// count.
func running(pid int, argv []string) (arguments, environment []string) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if pid == 0 || err != nil || len(line) == 0 {
		return argv, nil
	}
	variables, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err != nil {
		return argv, nil
	}
	environment = slices.DeleteFunc(fields(variables), func(v string) bool { return !strings.HasPrefix(v, "CONTAINER_") })
	return fields(line), environment
}

func fields(text []byte) []string {
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

// maxProblem bounds what is kept of the program's messages, in bytes.
const maxProblem = 16 << 10

// decode believes only a program that ended with an exit code of its own: one that was killed says
// nothing of the configuration.
func decode(ctx context.Context, command, environment []string) error {
	problem := &tail{most: maxProblem}
	c := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the program that the unit starts
	c.Env = append(os.Environ(), environment...)
	c.Stderr = problem
	c.WaitDelay = time.Second
	err := c.Run()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed && exit.Exited() {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, lastLine(string(problem.text)))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", strings.Join(command, " "), ctx.Err())
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	most int
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-t.most):]
	return len(p), nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

// program returns what a unit's ExecStart starts. Each entry of the property is (path, argv,
// flags...).
func program(property any) (path string, argv []string) {
	entries, ok := property.([][]any)
	if !ok || len(entries) == 0 || len(entries[0]) < 2 {
		return "", nil
	}
	path, okPath := entries[0][0].(string)
	argv, okArgv := entries[0][1].([]string)
	if !okPath || !okArgv {
		return "", nil
	}
	return path, argv
}

// configCommand returns CRI-O's config command with the options that name configuration; nil where
// the program is no CRI-O.
func configCommand(path string, argv []string) []string {
	if len(argv) == 0 || !strings.HasSuffix(path, "/crio") {
		return nil
	}
	command := []string{path}
	options := []string{"--config", "-c", "--config-dir", "-d"}
	for i, arg := range argv {
		option, _, joined := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(options, option):
		case joined:
			command = append(command, arg)
		case i+1 < len(argv):
			command = append(command, arg, argv[i+1])
		}
	}
	return append(command, "config")
}
