// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/kata-node/kata-node/internal/safefile"
)

// maxWindow is how far back a zstd stream may refer, in bytes, all of which are kept in memory:
// that of `zstd --ultra -22` is 128 MiB.
const maxWindow = 512 << 20

// unjudgedRatio is how much a stream may unpack to before its ratio is judged, in bytes.
const unjudgedRatio = 64 << 20

// File is an archive in a file: .tar, or .tar with zstd, xz or gzip, recognised by their first
// bytes.
type File string

// Each implements Source. The digest is that of the whole file, also behind an early error.
func (f File) Each(ctx context.Context, limits Limits, visit Visit) (string, error) {
	file, err := os.Open(filepath.Clean(string(f)))
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	packed := &counter{r: safefile.Reader(ctx, file), hash: sha256.New()}
	err = eachPacked(packed, limits, visit)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if _, rest := io.Copy(io.Discard, packed); rest != nil {
		return "", rest
	}
	return hex.EncodeToString(packed.hash.Sum(nil)), err
}

func eachPacked(packed *counter, limits Limits, visit Visit) error {
	unpacked, err := unpack(packed)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	plain := &bounded{r: unpacked, packed: packed, limits: limits}
	if err := eachEntry(tar.NewReader(plain), visit); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return fmt.Errorf("behind the last entry: %w", err)
	}
	return nil
}

func eachEntry(archive *tar.Reader, visit Visit) error {
	for last := "its start"; ; {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("ends behind %s: it is truncated", last)
		case err != nil:
			return fmt.Errorf("behind %s: %w", last, err)
		}
		last = fmt.Sprintf("entry %q", shorten(h.Name))
		if err := visit(h, archive); errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("ends within %s: it is truncated", last)
		} else if err != nil {
			return err
		}
	}
}

// unpack returns the plain stream by the first bytes of the packed one.
func unpack(packed io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(packed, 1<<16)
	start, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		decoder, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(2*maxWindow))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	case bytes.HasPrefix(start, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		decoder, err := xz.NewReader(in)
		return io.NopCloser(decoder), err
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	default:
		return plainTar(in)
	}
}

// plainTar demands the mark of a tar archive: what has none would be read as one without entries.
func plainTar(in *bufio.Reader) (io.ReadCloser, error) {
	const markAt = 257
	head, err := in.Peek(markAt + 5)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) < markAt+5 || string(head[markAt:]) != "ustar" {
		return nil, errors.New("is no archive: must be .tar, .tar.zst, .tar.xz or .tar.gz")
	}
	return io.NopCloser(in), nil
}

// counter counts and digests what is read.
type counter struct {
	r    io.Reader
	hash hash.Hash
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	_, _ = c.hash.Write(p[:n]) // A hash.Hash never returns an error.
	return n, err
}

// bounded refuses a stream that unpacks to more than the limits allow.
type bounded struct {
	r      io.Reader
	packed *counter
	limits Limits
	n      int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if b.n > b.limits.Total {
		return 0, fmt.Errorf("unpacks to more than %d bytes", b.limits.Total)
	}
	if b.n > unjudgedRatio && b.n/b.limits.Ratio > b.packed.n {
		return 0, fmt.Errorf("unpacks to more than %d times its size", b.limits.Ratio)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return n, io.ErrUnexpectedEOF // tar knows it by this value only
	}
	return n, err
}
