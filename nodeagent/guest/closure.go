// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// List names modules in the order in which they are wanted.
type List struct {
	// Required modules must be there, in the kernel's image or as a file. Optional ones may be
	// missing.
	Required, Optional []string
}

// Missing is the error for a module that a kernel does not have.
type Missing struct {
	Module string
	// Path is the way to it from the list: each of these modules needs the next one.
	Path []string
}

func (e *Missing) Error() string {
	if len(e.Path) == 0 {
		return fmt.Sprintf("module %s is neither built in nor among the modules", e.Module)
	}
	return fmt.Sprintf("module %s, which %s needs, is neither built in nor among the modules", e.Module, strings.Join(e.Path, ", which "))
}

// Closure returns the files of the listed modules and of everything that they need, relative to the
// kernel's directory, in an order in which each can be loaded. The error is Missing.
func (x Index) Closure(list List) ([]string, error) {
	c := closure{Index: x, seen: map[string]bool{}}
	for _, name := range list.Required {
		if err := c.add(normal(name), nil); err != nil {
			return nil, err
		}
	}
	for _, name := range list.Optional {
		c.optional(normal(name))
	}
	return c.files, nil
}

// Needs returns the lines of modules.dep for these files, with each name as it is in the guest.
func (x Index) Needs(files []string) []string {
	var out []string
	for _, file := range files {
		line := []string{Plain(file) + ":"}
		for _, need := range slices.Backward(x.needs[Name(file)]) {
			if at, here := x.modules[need]; here {
				line = append(line, Plain(at))
			}
		}
		out = append(out, strings.Join(line, " "))
	}
	return out
}

type closure struct {
	Index
	seen  map[string]bool
	files []string
}

// optional adds a module with all that it needs, or nothing.
func (c *closure) optional(name string) {
	seen, files := maps.Clone(c.seen), slices.Clone(c.files)
	if c.add(name, nil) != nil {
		c.seen, c.files = seen, files
	}
}

func (c *closure) add(name string, path []string) error {
	file, here := c.modules[name]
	switch {
	case c.seen[name]:
		return nil
	case !here && c.builtin[name]:
		return nil
	case !here:
		return &Missing{Module: name, Path: path}
	}
	c.seen[name] = true
	for _, soft := range c.before[name] {
		c.soft(soft)
	}
	for _, need := range c.needs[name] {
		if err := c.add(need, append(slices.Clone(path), name)); err != nil {
			return err
		}
	}
	c.files = append(c.files, file)
	for _, soft := range c.after[name] {
		c.soft(soft)
	}
	return nil
}

// soft adds what a soft dependency names: a module, or every module of which it is another name.
func (c *closure) soft(name string) {
	if _, here := c.modules[name]; here || c.builtin[name] {
		c.optional(name)
		return
	}
	for _, module := range c.alias[name] {
		c.optional(module)
	}
}
