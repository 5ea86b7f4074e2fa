// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	special     = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	othersWrite = 0o022
)

// compare judges everything but content. It returns the first mismatch in sorted order, and the
// regular files before it whose content is still to be judged.
func compare(found map[string]entry, m manifest.Manifest, listed map[string]judgement) ([]manifest.File, *Mismatch) {
	paths := maps.Clone(listed)
	for p := range found {
		if _, ok := paths[p]; !ok {
			paths[p] = nil
		}
	}
	var contents []manifest.File
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		e, there := found[p]
		if problem := judge(e, there, paths[p]); problem != "" {
			return contents, &Mismatch{Path: p, Problem: problem}
		}
		if f, ok := m.File(p); ok && f.Link == "" {
			contents = append(contents, f)
		}
	}
	return contents, nil
}

// judgement tells what is wrong with what stands at a path, or "".
type judgement func(entry) string

// expected has a judgement for every path that may exist.
func expected(m manifest.Manifest) map[string]judgement {
	listed := map[string]judgement{}
	for _, f := range m.Files {
		listed[f.Path] = func(e entry) string { return judgeFile(e, f) }
		addParents(listed, f.Path)
	}
	listed[manifest.Path] = judgeDocument
	addParents(listed, manifest.Path)
	return listed
}

func addParents(listed map[string]judgement, file string) {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		listed[dir] = judgeDirectory
	}
}

func judge(e entry, there bool, j judgement) string {
	switch {
	case j == nil:
		return "is not in the manifest"
	case !there:
		return "is missing"
	default:
		return j(e)
	}
}

func judgeFile(e entry, f manifest.File) string {
	if f.Link != "" {
		return judgeLink(e, f)
	}
	mode := e.mode.Perm() | e.mode&special
	switch {
	case !e.mode.IsRegular():
		return fmt.Sprintf("is a %s, manifest says regular file", kind(e.mode))
	case mode != f.Mode.Perm():
		return fmt.Sprintf("mode is %v, manifest says %v", mode, f.Mode.Perm())
	case e.size != f.Size:
		return fmt.Sprintf("size is %d, manifest says %d", e.size, f.Size)
	}
	return ""
}

func judgeLink(e entry, f manifest.File) string {
	switch {
	case e.mode.Type() != fs.ModeSymlink:
		return fmt.Sprintf("is a %s, manifest says symbolic link", kind(e.mode))
	case e.link != f.Link:
		return fmt.Sprintf("links to %q, manifest says %q", e.link, f.Link)
	}
	return ""
}

func judgeDirectory(e entry) string {
	switch {
	case !e.mode.IsDir():
		return fmt.Sprintf("is a %s, manifest says directory", kind(e.mode))
	case e.mode.Perm()&othersWrite != 0:
		return fmt.Sprintf("is a directory that others may write to: its mode is %v", e.mode.Perm())
	}
	return ""
}

func judgeDocument(e entry) string {
	if !e.mode.IsRegular() {
		return fmt.Sprintf("is a %s, must be a regular file", kind(e.mode))
	}
	return ""
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "regular file"
	case mode.IsDir():
		return "directory"
	case mode.Type() == fs.ModeSymlink:
		return "symbolic link"
	default:
		return "special file"
	}
}
