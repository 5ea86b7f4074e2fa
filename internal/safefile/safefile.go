// SPDX-License-Identifier: Apache-2.0

// Package safefile reads files that other users wrote: those inside an image, and those of
// administrators and other services. It opens regular files only, reads no more than it was
// allowed, and stops when its context ends.
package safefile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// nonblocking keeps the open of a FIFO from waiting for a writer.
const nonblocking = os.O_RDONLY | syscall.O_NONBLOCK

// ErrNotRegular is the error for a directory, a FIFO, a socket or a device.
var ErrNotRegular = errors.New("is not a regular file")

// ErrTooLarge is the error for a file that has more bytes than the caller accepts.
var ErrTooLarge = errors.New("is too large")

// Open opens a regular file below root for reading. Symbolic links are followed as long as they
// stay below root.
func Open(root *os.Root, name string) (*os.File, error) {
	// Opening a device can have an effect, so the kind is compared before and after.
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(name)
	}
	return regular(root.OpenFile(name, nonblocking, 0))
}

// Read returns the content of a regular file below root, as Open finds it.
func Read(ctx context.Context, root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := Open(root, name)
	if err != nil {
		return nil, err
	}
	return content(file, Reader(ctx, file), limit)
}

// ReadPath returns the content of a regular file of the host. Symbolic links are followed. It
// takes no context: limits are small.
func ReadPath(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	file, err := regular(os.OpenFile(path, nonblocking, 0))
	if err != nil {
		return nil, err
	}
	return content(file, file, limit)
}

func notRegular(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
}

// regular closes an opened file again unless it is a regular one.
func regular(file *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(file.Name())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// content reads and closes a file. The size that a file system states is not believed: files of
// /proc have none.
func content(file *os.File, reader io.Reader, limit int64) ([]byte, error) {
	defer file.Close() //nolint:errcheck // Nothing was written.
	var read bytes.Buffer
	n, err := io.Copy(&read, io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%s: %w: it has more than %d bytes", file.Name(), ErrTooLarge, limit)
	}
	return read.Bytes(), nil
}

// Reader returns a reader that ends with the context's cause between two reads.
func Reader(ctx context.Context, r io.Reader) io.Reader { return &interruptible{ctx, r} }

type interruptible struct {
	ctx    context.Context //nolint:containedctx // It lives for one read of a file.
	reader io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.reader.Read(p)
}
