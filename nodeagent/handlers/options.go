// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// VariablePrefix begins the names of the variables that stand for CRI-O's options.
const VariablePrefix = "CONTAINER_"

// Options are those of CRI-O's process that matter here: where it reads its configuration, and what
// overrides it.
type Options struct {
	// File is its main file, Dir its directory of drop-ins; either is empty where CRI-O reads none.
	File, Dir string
	// Named is whether an option names File: CRI-O then does not start without it.
	Named bool

	defaultRuntime string
	policy, root   string
	runtimes       []string
}

// commandLine stands for the file in a conflict with an option.
const commandLine = "the command line or environment of CRI-O"

// OptionsOf reads the options of a process of CRI-O. An option counts before its variable.
func OptionsOf(p host.Process) Options {
	o := Options{File: host.CRIOConfig, Dir: host.CRIOConfigDir}
	if file, set := option(p, "config", "c"); set {
		o.File, o.Named = absolute(file), true
	}
	if dir, set := option(p, "config-dir", "d"); set {
		o.Dir = absolute(dir)
	}
	o.policy, _ = option(p, "signature-policy", "")
	o.root, _ = option(p, "root", "r")
	o.defaultRuntime, _ = option(p, "default-runtime", "")
	for _, value := range options(p, "runtimes", "") {
		o.runtimes = append(o.runtimes, strings.Split(value, ",")...)
	}
	return o
}

// absolute is a path as CRI-O takes it, which runs in the root directory.
func absolute(file string) string {
	if file == "" {
		return ""
	}
	return path.Join("/", file)
}

// option returns the last value of an option.
func option(p host.Process, long, short string) (value string, set bool) {
	values := options(p, long, short)
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

func options(p host.Process, long, short string) []string {
	var values []string
	for i, arg := range p.Args {
		name, value, joined := strings.Cut(arg, "=")
		if name != "--"+long && name != "-"+long && (short == "" || name != "-"+short) {
			continue
		}
		if !joined && i+1 < len(p.Args) {
			value = p.Args[i+1]
		}
		values = append(values, value)
	}
	if len(values) > 0 {
		return values
	}
	variable := VariablePrefix + strings.ToUpper(strings.ReplaceAll(long, "-", "_")) + "="
	for _, v := range p.Environment {
		if value, ok := strings.CutPrefix(v, variable); ok && value != "" {
			values = append(values, value)
		}
	}
	return values
}

// conflicts are options that say something about one of our handlers.
func (o Options) conflicts() []Conflict {
	ours := node.Handlers()
	var conflicts []Conflict
	if slices.Contains(ours, o.defaultRuntime) {
		conflicts = append(conflicts, Conflict{File: commandLine, Key: "--default-runtime", Default: true})
	}
	for _, runtime := range o.runtimes {
		if name, _, _ := strings.Cut(runtime, ":"); slices.Contains(ours, name) {
			conflicts = append(conflicts, Conflict{File: commandLine, Key: "--runtimes " + name})
		}
	}
	return conflicts
}
