// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/kata-node/kata-node/internal/safefile"
)

// maxModule is the largest module that is read, in bytes. The largest ones of distributions,
// graphics drivers, have 20 MB; with debug information it is ten times that.
const maxModule = 512 << 20

// module returns a module as the kernel loads it.
func (s *segment) module(ctx context.Context, file string) ([]byte, error) {
	f, err := safefile.Open(s.modules, file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // Nothing was written.
	plain, err := decompress(path.Ext(file), bufio.NewReader(safefile.Reader(ctx, f)))
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	var content bytes.Buffer
	n, err := io.Copy(&content, io.LimitReader(plain, maxModule+1))
	if err == nil && n > maxModule {
		err = fmt.Errorf("%w: it has more than %d bytes", safefile.ErrTooLarge, maxModule)
	}
	return content.Bytes(), err
}

func decompress(suffix string, from io.Reader) (io.ReadCloser, error) {
	switch suffix {
	case ".gz":
		return gzip.NewReader(from)
	case ".xz":
		r, err := xz.NewReader(from)
		return io.NopCloser(r), err
	case ".zst":
		r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule))
		if err != nil {
			return nil, err
		}
		return r.IOReadCloser(), nil
	}
	return io.NopCloser(from), nil
}
