// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/nodeagent/guest"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// maxIndex is the largest index that is read, in bytes. Distributions' have up to 2 MB.
const maxIndex = 32 << 20

// segment is the archive that is added to a base initrd.
type segment struct {
	modules *os.Root
	// files are those of the modules, in order of loading; text are other files by name.
	files []string
	text  map[string]string
	dir   string
}

// choose finds the modules that a guest needs.
func choose(ctx context.Context, modules *os.Root, order host.GuestOrder) (*segment, error) {
	var from guest.Indexes
	for name, into := range map[string]*[]byte{
		depFile: &from.Dep, "modules.builtin": &from.Builtin, "modules.softdep": &from.Softdep, "modules.alias": &from.Alias,
	} {
		text, err := safefile.Read(ctx, modules, name, maxIndex)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		*into = text
	}
	index, err := guest.Parse(from)
	if err != nil {
		return nil, err
	}
	files, err := index.Closure(guest.List{Required: order.Modules, Optional: order.OptionalModules})
	if err != nil {
		return nil, fmt.Errorf("%w of kernel %s: install the package with the rest of its modules (kernel-modules, kernel-modules-extra, linux-modules-extra), or use a payload that does without",
			err, order.Kernel)
	}
	return &segment{modules: modules, files: files, text: index.Text(order.Kernel, files), dir: guest.ModulesDir(order.Kernel)}, nil
}

// recipe is what an initrd is made of, as a digest. Modules count by size: a kernel's release
// stands for their content.
func (s *segment) recipe(order host.GuestOrder) (string, error) {
	sizes := map[string]int64{}
	for _, file := range s.files {
		info, err := s.modules.Stat(file)
		if err != nil {
			return "", err
		}
		sizes[file] = info.Size()
	}
	text, err := json.Marshal(struct {
		Form int
		Base string
		Text map[string]string
		Size map[string]int64
	}{1, order.BaseSHA256, s.text, sizes})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

const (
	directoryMode = 0o755
	fileMode      = 0o644
)

// write writes the archive. Directories come before what is in them, and nothing depends on time,
// owner or inode. Modules are not compressed: whatever loads them in the guest can read them.
func (s *segment) write(ctx context.Context, to io.Writer) error {
	w := cpio.Newc.Writer(to)
	records := map[string]func() ([]byte, error){}
	for name, text := range s.text {
		records[name] = func() ([]byte, error) { return []byte(text), nil }
	}
	for _, file := range s.files {
		records[path.Join(s.dir, guest.Plain(file))] = func() ([]byte, error) { return s.module(ctx, file) }
	}
	made := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		if err := directories(w, path.Dir(name), made); err != nil {
			return err
		}
		content, err := records[name]()
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if err := w.WriteRecord(cpio.StaticRecord(content, cpio.Info{Name: name, Mode: cpio.S_IFREG | fileMode})); err != nil {
			return err
		}
	}
	return cpio.WriteTrailer(w)
}

func directories(w cpio.RecordWriter, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := directories(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteRecord(cpio.Directory(dir, directoryMode))
}
