// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	drainInterval = time.Millisecond
	// drainLimit counts only where CRI-O has gone. One that lives reads, but on a busy machine not
	// at once.
	drainLimit = 10 * time.Second
)

// drain returns when the reader of a fifo has taken all that is in it, or at its limit: CRI-O
// closes the output of an executed process as soon as that is deleted, whether it has read it or
// not.
func drain(ctx context.Context, fifo string) {
	if fifo == "" {
		return
	}
	file, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return // CRI-O has removed it.
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	ticker := time.NewTicker(drainInterval)
	defer ticker.Stop()
	for {
		left, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCINQ)
		if err != nil || left == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
