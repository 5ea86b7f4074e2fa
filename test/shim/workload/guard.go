// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/sys/reaper"
	"golang.org/x/sys/unix"
)

// killAll waits until the shim's end of its input is closed, and ends what runc knows below the
// directory that is its argument.
const killAll = `cat; runc --root "$0" list -q | xargs -r -n 1 runc --root "$0" delete --force`

// guard is a process that ends the containers when the shim is killed, as the end of a VM would.
// The kernel ends only a process's own children with it, and it is runc that starts the containers.
type guard struct {
	input io.Closer
	ended chan struct{}
}

func startGuard(state string) (*guard, error) {
	cmd := exec.Command("sh", "-c", killAll, state) //nolint:noctx // It outlives the shim by design.
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the guard of the containers: %w", err)
	}
	exit, err := reaper.Default.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting the guard of the containers: %w", err)
	}
	g := &guard{input, make(chan struct{})}
	go func() { // At once: the reaper stops for every reader that leaves 32 exits unread.
		defer close(g.ended)
		_, _ = reaper.Default.Wait(cmd, exit) //nolint:errcheck // How it ended is of no use.
	}()
	return g, nil
}

// end closes the guard's input and returns when it has ended.
func (g *guard) end() error {
	if err := g.input.Close(); err != nil {
		return fmt.Errorf("ending the guard of the containers: %w", err)
	}
	<-g.ended
	return nil
}

// reapAll makes this process the parent of orphaned descendants, and collects ended ones until ctx
// is done.
func reapAll(ctx context.Context) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the parent of orphaned processes: %w", err)
	}
	ended := make(chan os.Signal, 32)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		defer signal.Stop(ended)
		for {
			select {
			case <-ended:
				_ = reaper.Reap() //nolint:errcheck // The next signal tries again.
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}
