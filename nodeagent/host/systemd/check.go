// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// checkLimit is far beyond the fraction of a second that CRI-O takes to decode its configuration.
const checkLimit = 20 * time.Second

// Check lets CRI-O's own program decode its whole configuration, as it does at its start. The
// program is the one that the unit starts. A unit that starts something else, or a program that is
// not there, is not judged.
func (Manager) Check(ctx context.Context, name string) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	property, err := conn.GetServicePropertyContext(ctx, name, "ExecStart")
	if err != nil {
		return fmt.Errorf("reading how %s starts: %w", name, err)
	}
	command := configCommand(property.Value.Value())
	if command == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	return decode(ctx, command)
}

func decode(ctx context.Context, command []string) error {
	var problem bytes.Buffer
	c := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the program that the unit starts
	c.Stderr = &problem
	err := c.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, lastLine(problem.String()))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", strings.Join(command, " "), ctx.Err())
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

// configCommand returns CRI-O's config command for a unit's ExecStart, with the options that name
// configuration; nil where the unit starts no CRI-O. Each entry of the property is (path, argv,
// flags...).
func configCommand(property any) []string {
	entries, ok := property.([][]any)
	if !ok || len(entries) == 0 || len(entries[0]) < 2 {
		return nil
	}
	path, okPath := entries[0][0].(string)
	argv, okArgv := entries[0][1].([]string)
	if !okPath || !okArgv || len(argv) == 0 || !strings.HasSuffix(path, "/crio") {
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
