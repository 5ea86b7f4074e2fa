// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"path"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// File is one file of CRI-O's configuration.
type File struct {
	Path    string
	Content []byte
	// Err says why it cannot be read, nil when it can.
	Err error
}

// Conflict is a key in a file of another owner, or an option of CRI-O's process, that says
// something about one of our handlers.
type Conflict struct {
	File, Key string
	// Default is whether the key makes one of our handlers the default runtime: CRI-O refuses to
	// start once our drop-in is deleted.
	Default bool
}

func (c Conflict) String() string { return fmt.Sprintf("%s in %s", c.Key, c.File) }

// Verdict is what the files of CRI-O's configuration mean for our handlers.
type Verdict struct {
	Conflicts []Conflict
	// Refused says why CRI-O would not start with these files, empty when nothing speaks against
	// it.
	Refused string
}

// Judge looks at all files that CRI-O reads, in its order, and at the options that override them.
// Our own drop-in is no conflict.
func Judge(files []File, options Options) Verdict {
	var v Verdict
	for _, f := range files {
		conflicts, err := judge(f)
		if err != nil && v.Refused == "" {
			v.Refused = fmt.Sprintf("%s: %v", f.Path, err)
		}
		v.Conflicts = append(v.Conflicts, conflicts...)
	}
	v.Conflicts = append(v.Conflicts, options.conflicts()...)
	return v
}

// tables are the parts of CRI-O's configuration that matter here.
type tables struct {
	CRIO struct {
		Runtime struct {
			Default  string         `toml:"default_runtime"`
			Runtimes map[string]any `toml:"runtimes"`
		} `toml:"runtime"`
	} `toml:"crio"`
}

func judge(f File) ([]Conflict, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	var t tables
	if err := toml.Unmarshal(f.Content, &t); err != nil {
		return nil, err
	}
	if f.Path == host.DropIn || path.Base(f.Path) == path.Base(host.DropIn) && FormerDropIn(f.Content) {
		return nil, nil
	}
	ours := node.Handlers()
	var conflicts []Conflict
	if slices.Contains(ours, t.CRIO.Runtime.Default) {
		conflicts = append(conflicts, Conflict{File: f.Path, Key: "crio.runtime.default_runtime", Default: true})
	}
	for _, name := range ours {
		if _, there := t.CRIO.Runtime.Runtimes[name]; there {
			conflicts = append(conflicts, Conflict{File: f.Path, Key: "crio.runtime.runtimes." + name})
		}
	}
	return conflicts, nil
}
