// SPDX-License-Identifier: Apache-2.0

// Package guest decides which modules of a kernel a guest needs, in which order they are loaded,
// and under which names they lie in its initrd. It is pure: it reads the text of a kernel's own
// indexes, and never a module.
package guest

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Indexes is what depmod and the kernel's build wrote next to a kernel's modules, as text. Dep is
// the only one that every kernel has.
type Indexes struct {
	// Dep is modules.dep: each module with the modules that it needs.
	Dep []byte
	// Builtin is modules.builtin: the modules that are part of the kernel's image.
	Builtin []byte
	// Softdep is modules.softdep: modules that are loaded before or after another where they exist.
	Softdep []byte
	// Alias is modules.alias: other names of modules.
	Alias []byte
}

// Index is what a kernel has.
type Index struct {
	// modules are the paths of modules by name, relative to the kernel's directory; needs are the
	// names of the modules that each needs.
	modules map[string]string
	needs   map[string][]string
	builtin map[string]bool
	// before and after are soft dependencies, alias other names without a pattern.
	before, after, alias map[string][]string
}

// Parse reads a kernel's indexes.
func Parse(from Indexes) (Index, error) {
	x := Index{
		modules: map[string]string{}, needs: map[string][]string{}, builtin: map[string]bool{},
		before: map[string][]string{}, after: map[string][]string{}, alias: map[string][]string{},
	}
	for _, line := range lines(from.Dep) {
		file, needs, ok := strings.Cut(line, ":")
		if !ok || !path.IsAbs("/"+file) || path.Clean("/"+file) != "/"+file {
			return Index{}, fmt.Errorf("modules.dep has the line %q: run depmod again", line)
		}
		name := Name(file)
		x.modules[name] = file
		for _, need := range slices.Backward(strings.Fields(needs)) { // depmod lists the deepest one last
			x.needs[name] = append(x.needs[name], Name(need))
		}
	}
	for _, line := range lines(from.Builtin) {
		x.builtin[Name(line)] = true
	}
	for _, line := range lines(from.Softdep) {
		x.soft(strings.Fields(line))
	}
	for _, line := range lines(from.Alias) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" && !strings.ContainsAny(f[1], "*?[") {
			x.alias[normal(f[1])] = append(x.alias[normal(f[1])], normal(f[2]))
		}
	}
	return x, nil
}

// soft reads a line such as "softdep ext4 pre: crc32c post: a b".
func (x Index) soft(words []string) {
	if len(words) < 3 || words[0] != "softdep" {
		return
	}
	var into map[string][]string
	name := normal(words[1])
	for _, word := range words[2:] {
		switch {
		case word == "pre:":
			into = x.before
		case word == "post:":
			into = x.after
		case into != nil:
			into[name] = append(into[name], normal(word))
		}
	}
}

// lines returns the lines of an index that are neither empty nor a comment.
func lines(text []byte) []string {
	var all []string
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// Name is the name of the module in a file such as kernel/fs/fuse/virtiofs.ko.xz. In names of
// modules, - and _ are the same.
func Name(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return normal(name)
}

func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }
