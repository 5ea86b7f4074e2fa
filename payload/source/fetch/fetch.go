// SPDX-License-Identifier: Apache-2.0

// Package fetch downloads files into a cache that is keyed by their digest. A download that breaks
// is resumed where it ended, also by another process, and nothing gets into the cache before its
// digest is known.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/safefile"
)

// MaxSize is the largest file that is downloaded, in bytes. GitHub's largest release asset has
// 2 GiB.
const MaxSize = 8 << 30

// Cache is a directory of downloaded files. Several processes may use one at the same time.
type Cache struct {
	// Dir is made when it is missing.
	Dir string
	// Progress is called for what was read, often; nil reports nothing.
	Progress func(Progress)
	// FirstDelay is how long the first repetition of a failed request waits, one second by default;
	// later ones wait longer.
	FirstDelay time.Duration
	// IdleTimeout is how long a server may send nothing, one minute by default.
	IdleTimeout time.Duration
}

// Progress is how far a download is.
type Progress struct {
	URL string
	// Done and Total are in bytes. Total is -1 where the server does not say it.
	Done, Total int64
}

// Get returns the path and the digest, in lower-case hex, of the file that a URL leads to. With a
// pin, the file comes from the cache if it is there, and a download with another digest is deleted
// and refused. Without one, it is downloaded. The file belongs to the cache: open it for reading
// only.
func (c Cache) Get(ctx context.Context, url, pin string) (path, digest string, err error) {
	if path, digest, err = c.get(ctx, url, pin); err != nil {
		return "", digest, fmt.Errorf("downloading %s: %w", url, err)
	}
	return path, digest, nil
}

func (c Cache) get(ctx context.Context, url, pin string) (path, digest string, err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", "", err
	}
	if pin != "" && c.has(ctx, pin) {
		return c.path(pin), pin, nil
	}
	part, err := c.lock(ctx, url)
	if err != nil {
		return "", "", err
	}
	defer part.Close() //nolint:errcheck // Its content was synced, or does not matter.
	if pin != "" && c.has(ctx, pin) {
		return c.path(pin), pin, os.Remove(part.Name()) // another process has downloaded it meanwhile
	}
	if err := c.download(ctx, url, part); err != nil {
		return "", "", errors.Join(err, removeIfEmpty(part))
	}
	if digest, err = digestOf(ctx, part); err != nil {
		return "", "", err
	}
	if pin != "" && digest != pin {
		wrong := fmt.Errorf("has sha256 %s, and sources.toml pins %s: it is damaged, or another file than the reviewed one; get the reviewed one, or review this one and change the pin", digest, pin)
		return "", digest, errors.Join(wrong, os.Remove(part.Name()), removeIfThere(validatorOf(part.Name())))
	}
	if err := errors.Join(part.Sync(), os.Rename(part.Name(), c.path(digest)), removeIfThere(validatorOf(part.Name()))); err != nil {
		return "", digest, err
	}
	return c.path(digest), digest, nil
}

func (c Cache) path(digest string) string { return filepath.Join(c.Dir, "sha256-"+digest) }

// has reports whether the cache has the file. One whose content has another digest is deleted.
func (c Cache) has(ctx context.Context, digest string) bool {
	file, err := os.Open(c.path(digest))
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	found, err := digestOf(ctx, file)
	if err == nil && found != digest {
		_ = os.Remove(file.Name()) //nolint:errcheck // What stays is found wrong again.
	}
	return err == nil && found == digest
}

// lock opens the unfinished download of a URL, and waits until no other process works on it.
func (c Cache) lock(ctx context.Context, url string) (*os.File, error) {
	key := sha256.Sum256([]byte(url))
	name := filepath.Join(c.Dir, "part-"+hex.EncodeToString(key[:16]))
	for {
		part, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		err = waitForLock(ctx, part)
		if err == nil && isStill(part, name) {
			return part, nil
		}
		if err := errors.Join(err, part.Close()); err != nil {
			return nil, err
		}
	}
}

func waitForLock(ctx context.Context, part *os.File) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(part.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// isStill reports whether the locked file is the one of that name: the process that had the lock
// before may have finished it.
func isStill(part *os.File, name string) bool {
	locked, err := part.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(name)
	return err == nil && os.SameFile(locked, named)
}

func digestOf(ctx context.Context, file *os.File) (string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, safefile.Reader(ctx, file)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// removeIfEmpty deletes a part file of which nothing could be downloaded.
func removeIfEmpty(part *os.File) error {
	if info, err := part.Stat(); err != nil || info.Size() > 0 {
		return err
	}
	return os.Remove(part.Name())
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
