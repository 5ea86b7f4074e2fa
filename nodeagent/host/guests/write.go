// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// alignment is that of an archive in an initrd, in bytes: the kernel reads what begins elsewhere as
// compressed data (Documentation/driver-api/early-userspace/buffer-format.rst).
const alignment = 4

// record says what an initrd is made of, and what it is.
type record struct {
	Recipe string `json:"recipe"`
	SHA256 string `json:"sha256"`
}

// maxRecord is the largest record that is read, in bytes.
const maxRecord = 1 << 10

func recordFile(slot string) string { return path.Join(host.GuestDir(slot), host.GuestRecordFile) }

// whole reports whether the initrd of a slot is on disk, of this recipe, and what was written once.
// What cannot be read is made again.
func (b Builder) whole(ctx context.Context, slot, recipe string) bool {
	text, err := safefile.ReadPath(b.Path(recordFile(slot)), maxRecord)
	if err != nil {
		return false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Recipe != recipe {
		return false
	}
	f, err := os.Open(b.Path(host.GuestInitrd(slot)))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // Nothing was written.
	sum := sha256.New()
	_, err = io.Copy(sum, safefile.Reader(ctx, f))
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == r.SHA256
}

// write writes the initrd, and then its record.
func (b Builder) write(ctx context.Context, order host.GuestOrder, s *segment, recipe string) error {
	sum := sha256.New()
	err := b.Stream(host.GuestInitrd(order.Slot), func(to io.Writer) error {
		sum.Reset()
		return b.initrd(ctx, order, s, io.MultiWriter(to, sum))
	}, fileMode)
	if err != nil {
		return fmt.Errorf("writing %s: %w", host.GuestInitrd(order.Slot), err)
	}
	text, err := json.Marshal(record{recipe, digest(sum)})
	if err != nil {
		return err
	}
	return b.Stream(recordFile(order.Slot), func(to io.Writer) error {
		_, err := to.Write(append(text, '\n'))
		return err
	}, fileMode)
}

func digest(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// initrd writes base and archive, each padded.
func (b Builder) initrd(ctx context.Context, order host.GuestOrder, s *segment, to io.Writer) error {
	buffered := bufio.NewWriterSize(to, 1<<20)
	w := &counter{to: buffered}
	base, err := os.Open(b.Path(order.Base))
	if err != nil {
		return fmt.Errorf("reading the payload's base initrd: %w", err)
	}
	defer base.Close() //nolint:errcheck // Nothing was written.
	if _, err := io.Copy(w, safefile.Reader(ctx, base)); err != nil {
		return fmt.Errorf("copying the payload's base initrd: %w", err)
	}
	for _, part := range []func() error{w.pad, func() error { return s.write(ctx, w) }, w.pad, buffered.Flush} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// counter counts what is written.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) pad() error {
	_, err := c.Write(make([]byte, (alignment-c.n%alignment)%alignment))
	return err
}
