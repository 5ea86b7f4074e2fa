// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/manifest"
)

// maxComponents keeps a payload's layers, the manifest's included, within what Linux before 6.5
// mounts: the names of all layers and the options of the mount share one page of 4096 bytes, and a
// name has 110 bytes.
const maxComponents = 32

const (
	modeProgram manifest.Mode = 0o755
	modeData    manifest.Mode = 0o644
	ownerMayRun               = 0o100
)

// survey lists the staged files in sorted order, as the manifest will, without their digests. Modes
// are 0755 for what its owner may execute, else 0644: the umask of whoever staged the tree leaves
// no trace. Empty directories are left out.
func survey(ctx context.Context, tree *os.Root) ([]manifest.File, error) {
	var files []manifest.File
	err := fs.WalkDir(tree.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err := cmp.Or(err, context.Cause(ctx)); err != nil || d.IsDir() {
			return err
		}
		file, err := surveyFile(tree, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, file)
		return nil
	})
	slices.SortFunc(files, func(a, b manifest.File) int { return cmp.Compare(a.Path, b.Path) })
	return files, err
}

func surveyFile(tree *os.Root, path string) (manifest.File, error) {
	info, err := tree.Lstat(path)
	if err != nil {
		return manifest.File{}, err
	}
	switch mode := info.Mode(); {
	case path == manifest.Path:
		return manifest.File{}, errors.New("the manifest is written by the build: remove it from the staged directory")
	case mode.Type() == fs.ModeSymlink:
		target, err := tree.Readlink(path)
		return manifest.File{Path: path, Link: target}, err
	case !mode.IsRegular():
		return manifest.File{}, fmt.Errorf("is neither a regular file, a directory nor a symbolic link (%s): a payload holds no devices, pipes or sockets", mode.Type())
	case mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
		return manifest.File{}, errors.New("has a setuid, setgid or sticky bit: clear it with chmod ug-s,-t")
	default:
		return manifest.File{Path: path, Mode: staged(mode), Size: info.Size()}, refuseCapabilities(tree, path)
	}
}

// refuseCapabilities refuses a file that gives rights to whoever executes it (capabilities(7)).
// Layers are written without extended attributes, so it would arrive without them, and fail on a
// node.
func refuseCapabilities(tree *os.Root, path string) error {
	file, err := tree.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	_, err = unix.Fgetxattr(int(file.Fd()), "security.capability", nil)
	switch {
	case err == nil:
		return errors.New("has file capabilities: remove them with setcap -r")
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil
	default:
		return fmt.Errorf("reading file capabilities: %w", err)
	}
}

func staged(mode fs.FileMode) manifest.Mode {
	if mode&ownerMayRun != 0 {
		return modeProgram
	}
	return modeData
}

// judge refuses, before anything is read, a manifest that could not be written afterwards.
func judge(m manifest.Manifest) error {
	m.Files = slices.Clone(m.Files)
	for i := range m.Files {
		if m.Files[i].Link == "" {
			m.Files[i].SHA256 = strings.Repeat("0", 64)
		}
	}
	if len(m.Components) > maxComponents {
		return fmt.Errorf("%d components: each is a layer, and a kernel before 6.5 can mount %d at most, as their names share one page: merge some", len(m.Components), maxComponents)
	}
	_, err := manifest.Encode(m)
	return err
}

// assign gives every file to the one component that claims it, in the order of the components.
func assign(m manifest.Manifest) ([][]int, error) {
	owned := make([][]int, len(m.Components))
	for i, f := range m.Files {
		c, err := owner(m.Components, f.Path)
		if err != nil {
			return nil, err
		}
		owned[c] = append(owned[c], i)
	}
	for c, files := range owned {
		if len(files) == 0 {
			return nil, fmt.Errorf("component %q has no file: its paths match nothing that is staged", m.Components[c].Name)
		}
	}
	return owned, nil
}

func owner(components []manifest.Component, path string) (int, error) {
	found := -1
	for i, c := range components {
		if !c.Claims(path) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("%s: components %q and %q both claim it: leave it to one of them", path, components[found].Name, c.Name)
		}
		found = i
	}
	if found < 0 {
		found = slices.IndexFunc(components, func(c manifest.Component) bool { return len(c.Paths) == 0 })
	}
	if found < 0 {
		return 0, fmt.Errorf("%s: belongs to no component: add its path to one, or a component without paths that takes the rest", path)
	}
	return found, nil
}
