// SPDX-License-Identifier: Apache-2.0

// Package process runs programs of a test on the host so that none of them outlives the test.
// A program that ends by itself is noticed, and its log is part of the error.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a program that was started.
type Process struct {
	command *exec.Cmd
	log     string
	ended   chan struct{}
	err     error
}

// Start starts command in a session of its own, with its stderr in the file log. It does not end
// with a context, only by Stop, Kill, or with this process.
func Start(command *exec.Cmd, log string) (*Process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(command.Path), err)
	}
	p := &Process{command: command, log: log, ended: make(chan struct{})}
	command.Stderr = file
	if command.Stdout == nil {
		command.Stdout = file
	}
	// A session of its own keeps Ctrl-C at the terminal away from it.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go p.run(file, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(command.Path), err)
	}
	return p, nil
}

// run keeps its thread, because the kernel sends Pdeathsig when the thread that started a child
// ends.
func (p *Process) run(file *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer close(p.ended)
	defer file.Close()
	p.err = p.command.Start()
	started <- p.err
	if p.err == nil {
		p.err = p.command.Wait()
	}
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// PID is the program's process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Err says how the program ended, with the end of its log. It waits for that.
func (p *Process) Err() error {
	<-p.ended
	return fmt.Errorf("%s ended: %v\n%s", filepath.Base(p.command.Path), p.command.ProcessState, p.Log())
}

// Log is the end of what the program logged.
func (p *Process) Log() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}

// Stop asks the program to end and waits until it has; when ctx is done first, it kills it.
func (p *Process) Stop(ctx context.Context) error { return p.StopBy(ctx, unix.SIGTERM) }

// StopBy asks with a signal of its own a program that tells it from the SIGTERM of the kernel,
// which comes when this process ends.
func (p *Process) StopBy(ctx context.Context, signal unix.Signal) error { return p.signal(ctx, signal) }

// Kill ends the program without a chance to say good-bye.
func (p *Process) Kill(ctx context.Context) error {
	return p.signal(ctx, unix.SIGKILL)
}

func (p *Process) signal(ctx context.Context, signal unix.Signal) error {
	if err := p.command.Process.Signal(signal); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		p.command.Process.Kill() //nolint:errcheck // It may have ended meanwhile.
		<-p.ended
		return fmt.Errorf("stopping %s: %w", filepath.Base(p.command.Path), ctx.Err())
	}
}
