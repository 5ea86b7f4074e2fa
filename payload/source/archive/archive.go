// SPDX-License-Identifier: Apache-2.0

// Package archive reads upstream's release archives, and directories that were unpacked from them,
// without trusting them: Survey judges every entry and writes nothing, Extract writes the chosen
// files. An archive that holds one entry that a payload must not have is refused as a whole.
package archive

import (
	"archive/tar"
	"cmp"
	"context"
	"io"
	"io/fs"
	"slices"
)

// Limits bound what is read. Kata 4.2's archives have some 300 entries, the largest of 268 MB, and
// 4 GB in all, packed to a third.
type Limits struct {
	// Entries is the largest number of entries.
	Entries int
	// File is the largest size of one entry, in bytes.
	File int64
	// Total is the largest size of all entries, and of the unpacked stream, in bytes.
	Total int64
	// Ratio is how many times larger than the packed stream the unpacked one may be. Streams that
	// unpack to less than 64 MiB are not judged by it.
	Ratio int64
}

// DefaultLimits returns limits that leave room for twice of what upstream ships today.
func DefaultLimits() Limits {
	return Limits{Entries: 20_000, File: 4 << 30, Total: 16 << 30, Ratio: 100}
}

// Entry is a judged regular file, symbolic link or hard link.
type Entry struct {
	// Path is clean and relative.
	Path string
	// Program tells whether the owner may execute the file.
	Program bool
	// Size is in bytes. A hard link has the size of its file.
	Size int64
	// Link is a symbolic link's target.
	Link string
	// Same is the path of the regular file that a hard link is another name of.
	Same string
}

// Listing is what a source holds, sorted by path.
type Listing []Entry

// Entry returns the entry with exactly that path.
func (l Listing) Entry(path string) (Entry, bool) {
	i, found := slices.BinarySearchFunc(l, path, func(e Entry, path string) int { return cmp.Compare(e.Path, path) })
	if !found {
		return Entry{}, false
	}
	return l[i], true
}

// Source is an archive, or a directory that is read like one. It can be read more than once.
type Source interface {
	// Each calls visit for every entry, and returns the digest of what was read in lower-case hex:
	// that of the file's bytes, or of a directory's listing.
	Each(ctx context.Context, limits Limits, visit Visit) (sha256 string, err error)
}

// Visit is called with one entry's header and its content, which ends with the call.
type Visit func(*tar.Header, io.Reader) error

const ownerMayRun fs.FileMode = 0o100
