// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fifo stops a program of the node where it opens a file: the file is a FIFO that nobody writes to.
// Whoever opens a FIFO for reading hangs in the kernel until somebody opens it for writing.
type fifo struct {
	s    *subject
	path string
}

const (
	startOfCRIO  = "/run/kata-test/start"
	runOfSandbox = "/run/kata-test/sandbox"
)

// blockStart lets the next CRI-O stop before it starts.
func (s *subject) blockStart() fifo {
	s.t.Helper()
	f := s.block(startOfCRIO)
	s.setCRIO("stop", fmt.Sprintf(`ExecStartPre=/bin/sh -c "[ ! -p %[1]s ] || cat %[1]s"`, f.path))
	return f
}

// setCRIO adds a line to CRI-O's unit, or takes that of the name away. It holds from the next start
// on.
func (s *subject) setCRIO(name, line string) {
	s.t.Helper()
	file := "/etc/systemd/system/crio.service.d/" + name + ".conf"
	if line == "" {
		s.run("rm", file)
	} else {
		require.NoError(s.t, s.node.WriteFile(file, []byte("[Service]\n"+line+"\n"), 0o644))
	}
	s.run("systemctl", "daemon-reload")
}

// blockSandboxes lets CRI-O stop in the middle of making a sandbox: pinns, which it runs for each,
// waits.
func (s *subject) blockSandboxes() fifo {
	s.t.Helper()
	const pinns = "/usr/bin/pinns"
	f := s.block(runOfSandbox)
	s.run("sh", "-ec", `mv "$2" "$2.real"; printf '#!/bin/sh\n[ ! -p %s ] || cat %s\nexec %s.real "$@"\n' "$1" "$1" "$2" >"$2"; chmod 755 "$2"`, "sh", f.path, pinns)
	return f
}

// block replaces the file by a FIFO.
func (s *subject) block(file string) fifo {
	s.t.Helper()
	s.run("sh", "-c", `mkdir -p "$(dirname "$1")" && mkfifo "$1.new" && mv "$1.new" "$1"`, "sh", file)
	return fifo{s: s, path: file}
}

// awaitReader waits until a program hangs at the FIFO. It goes on when the returned file is closed.
func (g fifo) awaitReader() *os.File {
	g.s.t.Helper()
	var writer *os.File
	g.s.await(path.Base(g.path)+" is reached", func(ctx context.Context) (err error) {
		// Without a reader that waits, this open fails.
		writer, err = os.OpenFile(g.s.node.Live(ctx)+g.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err
	})
	g.s.t.Cleanup(func() { _ = writer.Close() })
	return writer
}

// manyLives are more than an agent needs that finishes one step in each.
const manyLives = 40

// killUntil kills the agent as soon as it has finished a step of its plan, until done is true. It
// returns how many lives that took.
func (s *subject) killUntil(done func() bool) (lives int) {
	s.t.Helper()
	for lives = range manyLives {
		s.await("the agent has finished a step", func(ctx context.Context) error {
			if done() {
				return nil
			}
			unit, err := s.node.Unit(ctx, agentUnit)
			if err != nil {
				return err
			}
			said, err := s.node.Exec(ctx, "journalctl", "--quiet", "--output=cat", "_SYSTEMD_INVOCATION_ID="+unit["InvocationID"])
			if err == nil && !strings.Contains(string(said), "Finished: ") {
				err = fmt.Errorf("it has said %q", said)
			}
			return err
		})
		if done() {
			return lives
		}
		s.kill()
	}
	require.Fail(s.t, "the agent does not get on")
	return lives
}

// freeze lets nobody change what is below a directory of the node until thaw is called.
func (s *subject) freeze(dir string) (thaw func()) {
	s.t.Helper()
	s.run("mount", "--bind", dir, dir)
	s.run("mount", "-o", "remount,bind,ro", dir)
	return func() { s.run("umount", "--lazy", dir) }
}

// remove lets everybody pass from now on who does not hang already.
func (g fifo) remove() {
	g.s.t.Helper()
	g.s.run("rm", g.path)
}
