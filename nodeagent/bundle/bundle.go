// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Patience is how long one part may take: a disk that hangs ends no read.
const Patience = 20 * time.Second

const (
	// maxPart is how many bytes of one part are kept, from its end.
	maxPart = 4 << 20
	// maxParts bounds the archive.
	maxParts = 2000
)

// Bundle is an archive (tar, gzip) of parts.
type Bundle struct {
	compressed *gzip.Writer
	archive    *tar.Writer
	patience   time.Duration
	scrub      Scrubber
	now        time.Time
	parts      int
}

// New begins an archive. All of its files have the given time, and each may take as long as
// patience.
func New(out io.Writer, scrub Scrubber, now time.Time, patience time.Duration) *Bundle {
	compressed := gzip.NewWriter(out)
	return &Bundle{patience: patience, compressed: compressed, archive: tar.NewWriter(compressed), scrub: scrub, now: now}
}

// Gather adds one part. Where its source fails or takes too long, the part NAME.problem says so
// instead, next to what was read until then. The error is that of writing the archive.
func (b *Bundle) Gather(ctx context.Context, name string, source func(ctx context.Context) ([]byte, error)) error {
	content, err := Within(ctx, b.patience, source)
	var problem error
	if err != nil {
		problem = b.add(name+".problem", []byte(err.Error()+"\n"))
	}
	if content == nil && err != nil {
		return problem
	}
	return errors.Join(problem, b.add(name, content))
}

// Within returns what a source returns, or an error once that takes too long. The source then runs
// on: a read from a disk that hangs cannot be ended.
func Within[T any](ctx context.Context, patience time.Duration, source func(ctx context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make(chan answer, 1)
	go func() {
		value, err := source(ctx)
		answers <- answer{value, err}
	}()
	select {
	case came := <-answers:
		return came.value, came.err
	case <-ctx.Done():
		return *new(T), fmt.Errorf("no answer within %s: %w", patience, ctx.Err())
	}
}

// cut is what a part begins with whose beginning was left out.
const cut = "[the beginning was left out]\n"

func (b *Bundle) add(name string, content []byte) error {
	if b.parts++; b.parts > maxParts {
		return nil
	}
	content = b.scrub.Clean(content)
	if len(content) > maxPart {
		content = append([]byte(cut), content[len(content)-maxPart:]...)
	}
	header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: b.now, Typeflag: tar.TypeReg}
	if err := b.archive.WriteHeader(header); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if _, err := b.archive.Write(content); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// Close ends the archive.
func (b *Bundle) Close() error { return errors.Join(b.archive.Close(), b.compressed.Close()) }
