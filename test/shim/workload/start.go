// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"

	"github.com/kata-node/kata-node/test/shim/bundle"
)

const (
	startInterval = time.Millisecond
	// startLimit bounds the wait for a process that never gets so far, such as a frozen one.
	startLimit = 10 * time.Second
)

// Start starts a process. The first process of a container runs its own program when this returns,
// as in a guest of Kata, and the one that holds a sandbox takes SIGTERM: CRI-O may send that at
// once, and process 1 of a container ignores it as long as it has no handler. runc returns earlier.
func (s *Service) Start(ctx context.Context, req *taskapi.StartRequest) (*taskapi.StartResponse, error) {
	if req.GetExecID() != "" {
		return s.TTRPCTaskService.Start(ctx, req)
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	created, err := s.State(ctx, &taskapi.StateRequest{ID: req.GetID()})
	if err != nil {
		return nil, err
	}
	b, err := bundle.Read(s.bundleOf(req.GetID()))
	if err != nil {
		return nil, err
	}
	p, err := findFirst(int(created.GetPid()))
	if err != nil {
		return nil, err
	}
	response, err := s.TTRPCTaskService.Start(ctx, req)
	if err != nil {
		return nil, err
	}
	p.await(ctx, b.SandboxOf(req.GetID()) == req.GetID())
	return response, nil
}

// first is the first process of a container that was created, and the program that it has until the
// container starts.
type first struct {
	dir  string // in /proc
	runc os.FileInfo
}

func findFirst(pid int) (first, error) {
	p := first{dir: filepath.Join("/proc", strconv.Itoa(pid))}
	var err error
	if p.runc, err = os.Stat(filepath.Join(p.dir, "exe")); err != nil {
		return first{}, fmt.Errorf("finding the process of a container: %w", err)
	}
	return p, nil
}

// await returns when the process runs its own program, or has ended.
func (p first) await(ctx context.Context, holdsSandbox bool) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ticker := time.NewTicker(startInterval)
	defer ticker.Stop()
	for !p.started(holdsSandbox) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p first) started(holdsSandbox bool) bool {
	program, err := os.Stat(filepath.Join(p.dir, "exe"))
	if err != nil {
		return true // It has ended.
	}
	if os.SameFile(program, p.runc) {
		return false
	}
	status, err := os.ReadFile(filepath.Join(p.dir, "status"))
	return err != nil || !holdsSandbox || takesTerm(string(status))
}

// takesTerm tells from a process's status in /proc whether SIGTERM is caught or ignored.
func takesTerm(status string) bool {
	var signals uint64
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		if name != "SigCgt" && name != "SigIgn" {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return true // No kernel writes this; nothing is waited for.
		}
		signals |= set
	}
	return signals&(1<<(syscall.SIGTERM-1)) != 0
}
