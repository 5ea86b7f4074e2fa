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
	r := plan.Runtime{Active: unit.Active(), Invocation: unit.Invocation, Since: unit.Since, KillMode: unit.KillMode}
	if r.Restarted, err = record.LoadRestarted(o.Host.Files); err != nil {
		return r, err
	}
	lacks, err := record.LoadLacks(o.Host.Files)
	if err != nil {
		return r, err
	}
	r.Lacks, r.LacksFurther, r.LacksHandler = lacks.Invocation, lacks.Further, lacks.Handler
	asked, err := record.LoadProofs(o.Host.Files)
	if err != nil {
		return r, err
	}
	r.Asked = asked.Names()
	if r.DropIn, err = o.dropIn(); err != nil {
		return r, err
	}
	o.configuration(&r, unit.MainPID)
	r.Crashes = o.crashes(ctx, unit)
	switch {
	case !r.Active && r.RestartedForHandlers():
		r.Words = o.words(ctx, unit, r.Restarted.Invocation)
	case r.Crashes.GivenUp || r.Crashes.Restarts > 0 && r.Crashes.Fatal == "":
		r.Words = o.words(ctx, unit, "")
	}
	if r.Active {
		o.sandboxes(ctx, &r)
	}
	return r, nil
}

// crashes are how CRI-O has ended by itself of late. The journal is read only where the unit says
// that there was something. Where it cannot be read, systemd's own count is taken, which knows no
// time.
func (o Observer) crashes(ctx context.Context, unit host.Unit) plan.Crashes {
	c := plan.Crashes{GivenUp: unit.GivenUp}
	if unit.Restarts == 0 && !c.GivenUp || unit.Active() && o.now().Sub(unit.Since) > plan.CrashSpan {
		return c
	}
	recent, err := o.Host.Services.Restarts(ctx, o.Self.CRIOUnit, plan.CrashSpan)
	if err != nil {
		recent = unit.Restarts
	}
	c.Restarts = min(recent, unit.Restarts)
	line, _ := o.Host.Services.Fatal(ctx, o.Self.CRIOUnit, plan.CrashSpan) //nolint:errcheck // nothing is quoted then
	c.Fatal = node.Sentence(line)
	return c
}

// words are what CRI-O printed last since the agent has restarted the given invocation. A start
// that still runs does not count: it has not said yet why it ends, and the text would change with
// each look. Without any words, the report says where to find them.
func (o Observer) words(ctx context.Context, unit host.Unit, restarted string) string {
	but := []string{restarted}
	if unit.MainPID != 0 {
		but = append(but, unit.Invocation)
	}
	words, _ := o.Host.Services.Words(ctx, o.Self.CRIOUnit, but...) //nolint:errcheck // see above
	return node.Sentence(words)
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

// SignaturePolicy returns where the file lies by which CRI-O decides which images may be used,
// empty where none is named.
func (o Observer) SignaturePolicy(ctx context.Context) (string, error) {
	unit, err := o.Host.Services.Unit(ctx, o.Self.CRIOUnit)
	if err != nil {
		return "", err
	}
	options := o.options(unit.MainPID)
	policy, err := handlers.SignaturePolicy(ConfigurationFiles(o.Host.Files, options), options)
	if err != nil || policy == "" {
		return "", err
	}
	return o.Host.Files.Path(policy), nil
}

// options are those of CRI-O's process. Of one that does not run or cannot be read they are not
// known, and the default places count.
func (o Observer) options(pid int) handlers.Options {
	var process host.Process
	if pid != 0 {
		process, _ = o.Host.Processes.Started(pid, handlers.VariablePrefix) //nolint:errcheck // see above
	}
	return handlers.OptionsOf(process)
}

// configuration reads what CRI-O reads at its start, from the places that the options of its
// process name.
func (o Observer) configuration(r *plan.Runtime, pid int) {
	options := o.options(pid)
	if r.DropIn.Exists && !o.reads(options.Dir) {
		r.DropIn.Hidden = orElse(options.Dir, "no directory")
	}
	verdict := handlers.Judge(ConfigurationFiles(o.Host.Files, options), options)
	r.Refused = verdict.Refused
	for _, c := range verdict.Conflicts {
		r.Conflicts = append(r.Conflicts, plan.Conflict(c))
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// reads reports whether CRI-O finds our drop-in in a directory, which may lead to the usual one.
func (o Observer) reads(dir string) bool {
	if dir == host.CRIOConfigDir {
		return true
	}
	content, err := o.Host.Files.Read(path.Join(dir, path.Base(host.DropIn)))
	return dir != "" && err == nil && handlers.FormerDropIn(content)
}

// ConfigurationFiles returns the files of CRI-O's configuration in the order in which CRI-O reads
// them: the main file, then everything below the drop-in directory by name, whatever the name.
func ConfigurationFiles(files host.FileReader, options handlers.Options) []handlers.File {
	var all []handlers.File
	if options.File != "" {
		content, err := files.Read(options.File)
		if options.Named || !errors.Is(err, fs.ErrNotExist) {
			all = append(all, handlers.File{Path: options.File, Content: content, Err: err})
		}
	}
	if options.Dir == "" {
		return all
	}
	return append(all, below(files, options.Dir)...)
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
	sandboxes, err := o.Host.Sandboxes.List(ctx, node.Handlers()...)
	if err != nil {
		r.Silence = err.Error()
		return
	}
	r.Answers = true
	r.Version, _ = o.Host.Sandboxes.Version(ctx) //nolint:errcheck // not known, then
	for _, s := range sandboxes {
		r.Sandboxes = append(r.Sandboxes, plan.Sandbox{ID: s.ID, Handler: s.Handler, Name: s.Namespace + "/" + s.Name, Ready: s.Ready, Unknown: s.Unknown})
	}
}
