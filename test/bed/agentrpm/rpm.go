// SPDX-License-Identifier: Apache-2.0

// Package agentrpm puts what hosts are given into a directory tree, the way packages do. Node tests
// install from here, so that they run the files that users get; it knows nothing about nodes.
package agentrpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Agent is where the RPM puts the agent, relative to the root of a node.
const Agent = "usr/libexec/kata-agent/kata-node-agent"

// Build packages agent (a path; empty means the static binary that users get, compiled first) with
// `make rpm` and returns the package's path in dir. It needs make and rpmbuild.
func Build(ctx context.Context, agent, dir string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	args := []string{"--silent", "--no-print-directory", "-C", root, "rpm", "RPM_DIR=" + dir}
	if agent != "" {
		args = append(args, "AGENT_BINARY="+agent)
	}
	out, err := run(exec.CommandContext(ctx, "make", args...))
	if err != nil {
		return "", fmt.Errorf("building the RPM: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1], nil
}

// Unpack writes the files of an RPM below root, over what is there, and runs none of its scripts.
// It needs rpm2cpio and cpio.
func Unpack(ctx context.Context, rpm, root string) error {
	archive, err := run(exec.CommandContext(ctx, "rpm2cpio", rpm))
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(rpm), err)
	}
	cpio := exec.CommandContext(ctx, "cpio", "--quiet", "--extract", "--make-directories", "--unconditional", "--preserve-modification-time", "--no-absolute-filenames")
	cpio.Dir, cpio.Stdin = root, strings.NewReader(archive)
	if _, err := run(cpio); err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(rpm), err)
	}
	return nil
}

// Enable applies the presets below root to the agent's unit, as the RPM's script does on a host.
func Enable(ctx context.Context, root string) error {
	if _, err := run(exec.CommandContext(ctx, "systemctl", "--root="+root, "preset", "kata-node-agent.service")); err != nil {
		return fmt.Errorf("applying presets: %w", err)
	}
	return nil
}

// Install packages agent (see Build), unpacks the package below root and applies the presets: what
// installing it on a host leaves there.
func Install(ctx context.Context, agent, root string) error {
	dir, err := os.MkdirTemp("", "kata-agent-rpm-")
	if err != nil {
		return fmt.Errorf("building the RPM: %w", err)
	}
	rpm, err := Build(ctx, agent, dir)
	if err == nil {
		err = Unpack(ctx, rpm, root)
	}
	if err == nil {
		err = Enable(ctx, root)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// repository is the root of the source tree, found from this file: these are tools of the tree,
// they make no sense without it.
func repository() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(file))))
	if _, err := os.Stat(filepath.Join(root, "rpmspec")); !ok || err != nil {
		return "", fmt.Errorf("finding the source tree from %s: it is not there", file)
	}
	return root, nil
}

// run returns what the command prints, and as an error the last line of what it complains about.
func run(cmd *exec.Cmd) (string, error) {
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lines[len(lines)-1])
	}
	return out.String(), nil
}
