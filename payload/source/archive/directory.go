// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/safefile"
)

// maxAttributes is the largest list of a file's extended attributes in Linux, in bytes.
const maxAttributes = 64 << 10

// Directory is an unpacked archive, or any staged directory.
type Directory string

// Each implements Source. The digest is that of a listing: for each file and link, in the order of
// the paths, a line `x SHA256 "PATH"` for a program, `- SHA256 "PATH"` for other files, and `l
// "TARGET" "PATH"` for a symbolic link. Neither owner nor time nor other permissions are part of
// it.
func (d Directory) Each(ctx context.Context, _ Limits, visit Visit) (string, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return "", err
	}
	defer root.Close()
	list := sha256.New()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err := cmp.Or(err, context.Cause(ctx)); err != nil || name == "." {
			return err
		}
		return eachFile(ctx, root, name, list, visit)
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(list.Sum(nil)), nil
}

func eachFile(ctx context.Context, root *os.Root, name string, list hash.Hash, visit Visit) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = root.Readlink(name); err != nil {
			return err
		}
		fmt.Fprintf(list, "l %q %q\n", target, name)
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return fmt.Errorf("entry %q is a socket: a payload holds files, directories and links only", name)
	}
	h.Name = name
	if !info.Mode().IsRegular() {
		return visit(h, strings.NewReader(""))
	}
	return eachRegular(ctx, root, h, list, visit)
}

func eachRegular(ctx context.Context, root *os.Root, h *tar.Header, list hash.Hash, visit Visit) error {
	file, err := safefile.Open(root, h.Name)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	if h.PAXRecords, err = fileAttributes(file); err != nil {
		return fmt.Errorf("reading the extended attributes of %s: %w", h.Name, err)
	}
	content := &counter{r: io.LimitReader(safefile.Reader(ctx, file), h.Size+1), hash: sha256.New()}
	if err := visit(h, content); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	if content.n != h.Size {
		return fmt.Errorf("entry %q changed while it was read", h.Name)
	}
	kind := "-"
	if h.FileInfo().Mode()&ownerMayRun != 0 {
		kind = "x"
	}
	_, err = fmt.Fprintf(list, "%s %x %q\n", kind, content.hash.Sum(nil), h.Name)
	return err
}

// fileAttributes returns a file's extended attributes as an archive has them. SELinux' labels are
// left out: every file of a directory has one on a host with SELinux, and none gets into a payload.
func fileAttributes(file *os.File) (map[string]string, error) {
	names := make([]byte, maxAttributes)
	n, err := unix.Flistxattr(int(file.Fd()), names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil //nolint:nilnil // A file system without attributes: there are none.
	}
	if err != nil {
		return nil, err
	}
	records := map[string]string{}
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if name != "" && name != "security.selinux" {
			records["SCHILY.xattr."+name] = ""
		}
	}
	return records, nil
}
