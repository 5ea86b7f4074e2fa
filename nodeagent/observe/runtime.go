// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func (o Observer) runtime(ctx context.Context) (plan.Runtime, error) {
	unit, err := o.Host.Services.Unit(ctx, o.Self.CRIOUnit)
	if err != nil {
		return plan.Runtime{}, err
	}
	r := plan.Runtime{Active: unit.Active(), Invocation: unit.Invocation}
	if r.Restarted, err = record.LoadRestarted(o.Host.Files); err != nil {
		return r, err
	}
	lacks, err := record.LoadLacks(o.Host.Files)
	if err != nil {
		return r, err
	}
	r.Lacks = lacks.Invocation
	if r.DropIn, err = o.dropIn(); err != nil {
		return r, err
	}
	o.configuration(&r)
	if r.Active {
		o.sandboxes(ctx, &r)
	}
	return r, nil
}

func (o Observer) dropIn() (plan.DropIn, error) {
	content, err := o.Host.Files.Read(host.DropIn)
	if errors.Is(err, fs.ErrNotExist) {
		return plan.DropIn{}, nil
	}
	if err != nil {
		return plan.DropIn{}, err
	}
	return plan.DropIn{Exists: true, Right: handlers.SameDropIn(content)}, nil
}

// configuration reads what CRI-O reads at its start.
func (o Observer) configuration(r *plan.Runtime) {
	verdict := handlers.Judge(ConfigurationFiles(o.Host.Files))
	r.Refused = verdict.Refused
	for _, c := range verdict.Conflicts {
		r.Conflicts = append(r.Conflicts, plan.Conflict(c))
	}
}

// ConfigurationFiles returns the files of CRI-O's configuration in the order in which CRI-O reads
// them: the main file, then everything below the drop-in directory by name, whatever the name.
func ConfigurationFiles(files host.FileReader) []handlers.File {
	var all []handlers.File
	content, err := files.Read(host.CRIOConfig)
	if !errors.Is(err, fs.ErrNotExist) {
		all = append(all, handlers.File{Path: host.CRIOConfig, Content: content, Err: err})
	}
	return append(all, below(files, host.CRIOConfigDir)...)
}

// below walks a directory. What cannot be read as a file is a directory, or CRI-O cannot read it
// either.
func below(files host.FileReader, dir string) []handlers.File {
	names, err := files.List(dir)
	if err != nil {
		return []handlers.File{{Path: dir, Err: err}}
	}
	var all []handlers.File
	for _, name := range names {
		file := path.Join(dir, name)
		content, err := files.Read(file)
		if err != nil {
			if _, notDirectory := files.List(file); notDirectory == nil && !errors.Is(err, fs.ErrNotExist) {
				all = append(all, below(files, file)...)
				continue
			}
		}
		all = append(all, handlers.File{Path: file, Content: content, Err: err})
	}
	return all
}

// sandboxes asks CRI-O. Where it does not answer the facts say so, and whatever needs the answer
// waits.
func (o Observer) sandboxes(ctx context.Context, r *plan.Runtime) {
	sandboxes, err := o.Host.Sandboxes.List(ctx, node.Handler, node.ProofHandler)
	if err != nil {
		r.Silence = err.Error()
		return
	}
	r.Answers = true
	for _, s := range sandboxes {
		r.Sandboxes = append(r.Sandboxes, plan.Sandbox{ID: s.ID, Handler: s.Handler, Name: s.Namespace + "/" + s.Name, Ready: s.Ready, Unknown: s.Unknown})
	}
}
