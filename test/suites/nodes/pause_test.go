// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"os"
	"path"

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
	// startOfCRIO is where the CRI-O stand-in stops before it is ready.
	startOfCRIO = "/run/crio-standin/stall-start"
	// runOfSandbox is where it stops before it runs a sandbox's shim.
	runOfSandbox = "/run/crio-standin/stall-run"
	// fragment is an administrator's part of configuration.toml. The agent reads it in every look, and an empty one changes nothing.
	fragment = "/etc/kata-agent/config.d/50-empty.toml"
)

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

// until lets a program through, time after time, until it hangs at the FIFO when done is true.
func (g fifo) until(done func() bool) {
	g.s.t.Helper()
	for {
		hanging := g.awaitReader()
		if done() {
			return
		}
		g.letOneThrough(hanging)
	}
}

// letOneThrough lets the program that hangs through, once: the next to come finds another FIFO.
func (g fifo) letOneThrough(hanging *os.File) {
	g.s.t.Helper()
	g.s.block(g.path)
	require.NoError(g.s.t, hanging.Close())
}

// manyLives are more than an agent needs that does one step in each.
const manyLives = 40

// killUntil gives the agent no longer life than until its fourth look, until done is true. It returns how many lives that took.
// The first look knows nothing of the API server yet, and a step lies between two looks; the one that configures handlers comes to this FIFO, too.
func (g fifo) killUntil(done func() bool) (lives int) {
	g.s.t.Helper()
	for lives = range manyLives {
		for range 3 {
			g.letOneThrough(g.awaitReader())
		}
		hanging := g.awaitReader()
		if done() {
			g.unblock()
			require.NoError(g.s.t, hanging.Close())
			return lives
		}
		g.s.block(g.path)
		g.s.kill()
	}
	require.Fail(g.s.t, "the agent does not get on")
	return lives
}

// unblock makes the file an empty one: everybody passes from now on who does not hang already.
func (g fifo) unblock() {
	g.s.t.Helper()
	g.s.run("sh", "-c", `: > "$1.new" && mv "$1.new" "$1"`, "sh", g.path)
}

// remove is unblock for a file that need not be there.
func (g fifo) remove() {
	g.s.t.Helper()
	g.s.run("rm", g.path)
}
