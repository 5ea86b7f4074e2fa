// SPDX-License-Identifier: Apache-2.0

// Package progress runs commands that take minutes and says meanwhile that they are alive. What a
// command prints is kept back, except its last line now and then, and its end when it did not
// succeed.
package progress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// interval between two signs of life.
const interval = 10 * time.Second

// tailLines of output are part of the error of a command that did not succeed.
const tailLines = 25

// Run runs one command and reports on it to out under the name what.
func Run(ctx context.Context, out io.Writer, what string, command *exec.Cmd) error {
	output := &record{}
	command.Stdout, command.Stderr = output, output
	started := time.Now()
	done := make(chan error, 1)
	go func() { done <- command.Run() }()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			lines, last := output.last()
			fmt.Fprintf(out, "%s: %s, %d lines, %s\n", what, now.Sub(started).Round(time.Second), lines, last)
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", what, err, output.tail())
			}
			fmt.Fprintf(out, "%s: done in %s\n", what, time.Since(started).Round(100*time.Millisecond))
			return ctx.Err()
		}
	}
}

// record keeps what a command printed.
type record struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

// Write implements io.Writer.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.Write(p)
}

func (r *record) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Split(strings.TrimSpace(r.bytes.String()), "\n")
}

func (r *record) last() (count int, line string) {
	lines := r.lines()
	return len(lines), lines[len(lines)-1]
}

func (r *record) tail() string {
	lines := r.lines()
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
