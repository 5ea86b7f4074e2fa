// SPDX-License-Identifier: Apache-2.0

// Package ostree speaks to rpm-ostree through its program, which is its stable interface.
//
// What of github.com/coreos/rpmostree-client-go is right is used: its type of a deployment, and how
// it finds a layered deployment's base. Its Client runs nothing here, because
//   - it starts the program with an empty environment, in which proxy, locale and the name of the
//     client are lost;
//   - it has neither a context nor a limit, also where it searches the journal, and drops what the
//     program says, so that "busy" and "not found" are the same error;
//   - a negative timestamp keeps it from reading a status, and it does not read which packages are
//     layered from files, which deployment is locked and which one was applied live;
//   - it has no words for local packages with an upgrade in one transaction, for --idempotent and
//     for apply-live; and it compares versions part by part.
//
// A call that changes something is never killed: rpm-ostree's daemon would continue without
// its client. Where the caller gives up, the next status has what became of it.
package ostree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

const (
	// clientID is how rpm-ostree names the agent to others.
	clientID = "kata-node-agent"
	// statusLimit is far beyond the seconds that a cold start of the daemon takes, and holds up a
	// payload that is served again at boot no longer.
	statusLimit = 20 * time.Second
	// changeLimit is how long a change is waited for. Some packages of hundreds of megabytes need
	// many minutes on slow disks.
	changeLimit = 45 * time.Minute
)

// Where things are on a host.
const (
	booted  = "/run/ostree-booted"
	deploys = "/ostree/deploy"
	program = "/usr/bin/rpm-ostree"
	journal = "/usr/bin/journalctl"
	bootc   = "/usr/bin/bootc"
	release = "/usr/lib/os-release"
	timers  = "/etc/systemd/system/timers.target.wants"
	updater = "bootc-fetch-apply-updates.timer"
)

// System is the host's rpm-ostree.
type System struct {
	root string
	// Now and Environment are the process's own unless a test sets them.
	Now         func() time.Time
	Environment func() []string

	mu   sync.Mutex
	seen seen
}

// seen is the last status, or why there is none. Each call starts rpm-ostree's daemon, and systemd
// refuses to start a service many times in a short while.
type seen struct {
	status  host.OSTree
	err     error
	changed time.Time
	at      time.Time
}

// How long a status counts while the deployments on disk are the same: a transaction changes
// nothing there before its end. That no answer came counts as long as a transaction does: a daemon
// that does not start is not started for each look.
const (
	fresh     = 5 * time.Minute
	freshBusy = 10 * time.Second
)

// Below returns the rpm-ostree of the host whose files are below root.
func Below(root string) *System {
	return &System{root: root, Now: time.Now, Environment: os.Environ}
}

func (s *System) path(name string) string { return filepath.Join(s.root, name) }

func (s *System) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// finalizer makes the staged deployment bootable when the system goes down. Where it fails, nothing
// but its journal tells: the next boot is that of the older deployment.
const finalizer = "ostree-finalize-staged.service"

// Unfinalized returns the first line that begins with "error:" of the service that finalizes
// deployments at shutdown. Where there is no journal of the previous boot, nothing is known.
func (s *System) Unfinalized(ctx context.Context) (string, error) {
	if !s.exists(booted) {
		return "", nil
	}
	limited, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	//nolint:gosec // The host's own program.
	printed, err := exec.CommandContext(limited, s.path(journal), "--boot=-1", "--output=cat", "--quiet", "_UID=0", "--unit="+finalizer).Output()
	if err != nil {
		return "", ctx.Err()
	}
	for line := range strings.Lines(string(printed)) {
		if strings.HasPrefix(line, "error:") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", nil
}

// command is rpm-ostree with the caller's environment and the agent's name. It answers in English.
func (s *System) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, s.path(program), args...) //nolint:gosec // the host's own program
	c.Env = append(s.Environment(), "RPMOSTREE_CLIENT_ID="+clientID, "LC_ALL=C.UTF-8")
	return c
}

// maxWords bounds what is kept of the program's messages, in bytes at their end.
const maxWords = 16 << 10

// read returns what a command that changes nothing prints.
func (s *System) read(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	var out, words bytes.Buffer
	c := s.command(ctx, args...)
	c.Stdout, c.Stderr = &out, &words
	if err := c.Run(); err != nil {
		return nil, failed(args, errors.Join(ctx.Err(), err), words.Bytes())
	}
	return out.Bytes(), nil
}

// change runs a command that changes something, and forgets the last status. A caller that gives up
// leaves it running.
func (s *System) change(ctx context.Context, args ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.seen = seen{} }()
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	var words bytes.Buffer
	c := s.command(context.WithoutCancel(ctx), args...)
	c.Stdout, c.Stderr = &words, &words
	if err := c.Start(); err != nil {
		return failed(args, err, nil)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for rpm-ostree %s, which is still running: %w", args[0], ctx.Err())
	case err := <-ended:
		if err != nil {
			return failed(args, err, words.Bytes())
		}
		return nil
	}
}

func failed(args []string, err error, words []byte) error {
	text := strings.TrimSpace(string(words[max(0, len(words)-maxWords):]))
	if _, exited := errors.AsType[*exec.ExitError](err); !exited || text == "" {
		return fmt.Errorf("running rpm-ostree %s: %w: %s", args[0], err, text)
	}
	return &host.OstreeError{Class: classify(text), Err: fmt.Errorf("rpm-ostree %s: %s", args[0], reason(text))}
}
