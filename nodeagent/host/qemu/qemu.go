// SPDX-License-Identifier: Apache-2.0

// Package qemu starts a virtual machine and follows its console until it is ready. What it starts
// ends with the call.
package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// VMs starts programs below a root.
type VMs struct{ root string }

// Below returns the virtual machines that programs below root run.
func Below(root string) VMs { return VMs{root} }

// maxText is how much is kept of what a machine prints, in bytes. A kernel prints 30 to 100 kB at
// its start.
const maxText = 1 << 20

// between is the time between two connections.
const between = 200 * time.Millisecond

// Boot starts a machine.
func (v VMs) Boot(ctx context.Context, boot host.Boot) (host.Booted, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	ready, last := newLine(boot.ReadyLine), newLine(boot.EndLine)
	last.whole = true
	console, words := &text{awaited: []*line{ready, last}}, &text{}
	command := exec.CommandContext(ctx, filepath.Join(v.root, boot.Program), boot.Args...) //nolint:gosec // It is the payload's or the host's QEMU.
	command.Stdout, command.Stderr = console, words
	command.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	// What the program may have started must not keep its pipes open.
	command.WaitDelay = time.Second
	if err := command.Start(); err != nil {
		return host.Booted{}, fmt.Errorf("starting %s: %w", boot.Program, err)
	}
	exited := make(chan struct{})
	var ended error
	go func() {
		ended = command.Wait()
		close(exited)
	}()
	answer := dial(ctx, boot)

	var b host.Booted
	select {
	case <-ready.seen:
		b.Ready = true
	case <-last.seen:
	case <-answer.ready:
		b.Ready = true
	case <-exited:
		b.Exited = reason(ended)
	case <-ctx.Done():
	}
	end()
	<-exited
	b.Console, b.Words = console.String(), words.String()
	b.Answer, b.Reached = answer.last()
	return b, nil
}

func reason(err error) string {
	if err == nil {
		return "it ended by itself"
	}
	return err.Error()
}

// line is waited for in a text.
type line struct {
	has string
	// whole lines count once they have ended: what follows in them is wanted, too.
	whole bool
	seen  chan struct{}
	found bool
}

func newLine(has string) *line { return &line{has: has, seen: make(chan struct{})} }

func (l *line) look(in []byte) {
	_, rest, there := bytes.Cut(in, []byte(l.has))
	if l.has == "" || l.found || !there || l.whole && !bytes.ContainsRune(rest, '\n') {
		return
	}
	l.found = true
	close(l.seen)
}

// text keeps the end of what is written to it, and looks for lines in it.
type text struct {
	mu      sync.Mutex
	kept    bytes.Buffer
	awaited []*line
}

var _ io.Writer = (*text)(nil)

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept.Write(p)
	if t.kept.Len() > maxText {
		t.kept.Next(t.kept.Len() - maxText)
	}
	for _, l := range t.awaited {
		l.look(t.kept.Bytes())
	}
	return len(p), nil
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept.String()
}

// answer is what came of connections.
type answer struct {
	mu    sync.Mutex
	err   error
	ready chan struct{}
}

func (a *answer) last() (text string, reached bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		return "", false
	}
	return a.err.Error(), errors.Is(a.err, unix.ECONNRESET)
}

// dial connects again and again until the machine accepts or the context ends.
func dial(ctx context.Context, boot host.Boot) *answer {
	a := &answer{ready: make(chan struct{})}
	if boot.CID == 0 {
		return a
	}
	go func() {
		for ctx.Err() == nil {
			err := connect(boot.CID, boot.Port)
			if err == nil {
				close(a.ready)
				return
			}
			a.mu.Lock()
			a.err = err
			a.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(between):
			}
		}
	}()
	return a
}

// connect returns after two seconds where nothing answers (VSOCK_DEFAULT_CONNECT_TIMEOUT).
func connect(cid, port uint32) error {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Connect(fd, &unix.SockaddrVM{CID: cid, Port: port}), unix.Close(fd))
}
