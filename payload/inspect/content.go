// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	workers   = 4
	chunkSize = 256 << 10
)

// verifyContents hashes the files with a few workers. They take files in order and finish what they
// took, so that the error is about the first bad file however the work was spread.
func verifyContents(ctx context.Context, root *os.Root, files []manifest.File, verified func(manifest.File)) error {
	var next atomic.Int64
	var stop atomic.Bool
	problems := make([]error, len(files))
	var group sync.WaitGroup
	for range min(workers, len(files)) {
		group.Go(func() {
			buffer := make([]byte, chunkSize)
			for !stop.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				if problems[i] = verifyContent(ctx, root, files[i], buffer); problems[i] != nil {
					stop.Store(true)
				} else {
					verified(files[i])
				}
			}
		})
	}
	group.Wait()
	for _, problem := range problems {
		if problem != nil {
			return problem
		}
	}
	return nil
}

func verifyContent(ctx context.Context, root *os.Root, want manifest.File, buffer []byte) error {
	sum, err := hash(ctx, root, want.Path, buffer)
	if err != nil {
		return fmt.Errorf("verifying payload: %s: %w", want.Path, err)
	}
	if sum != want.SHA256 {
		return differentContent(want, sum)
	}
	return nil
}

func hash(ctx context.Context, root *os.Root, path string, buffer []byte) (string, error) {
	file, err := safefile.Open(root, path)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, safefile.Reader(ctx, file), buffer); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
