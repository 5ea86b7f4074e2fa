// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/bundle"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
	"github.com/kata-node/kata-node/nodeagent/observe"
)

func about(now time.Time) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		kernel, err := os.ReadFile("/proc/version")
		return fmt.Appendf(nil, "agent %s\ncollected %s\n%s", version, now.Format(time.RFC3339), kernel), err
	}
}

// parts are what the agent itself would see.
func (w *wiring) parts() []part {
	observer := observe.Observer{Host: w.untouched(), Self: w.self}
	return []part{
		{"status.txt", func(ctx context.Context) ([]byte, error) {
			facts, err := observer.Look(ctx, w.shown())
			if err != nil {
				return nil, err
			}
			var out bytes.Buffer
			result := nodeagent.Consider(facts, node.Report{}, time.Now())
			err = errors.Join(printStatus(&out, w.sentence(ctx), facts), printPlan(&out, result.Plan), say(&out, "says:  %s\n", result.Sentence))
			return out.Bytes(), err
		}},
		{"check.json", func(ctx context.Context) ([]byte, error) {
			facts, err := observer.Look(ctx, w.shown())
			if err != nil {
				err = errors.Join(err, observer.Check(ctx, &facts.Host, facts.Runtime))
			}
			document, failed := json.MarshalIndent(checked(facts), "", "  ")
			return document, errors.Join(err, failed)
		}},
		{"images.json", func(context.Context) ([]byte, error) { return document(w.store.Peek()) }},
		{"sandboxes.json", func(ctx context.Context) ([]byte, error) {
			return document(w.cri.List(ctx, node.Handler, node.ProofHandler))
		}},
		{"processes.json", func(context.Context) ([]byte, error) { return document(w.host.Processes.Using(host.SlotsDir)) }},
		{"thresholds.json", func(ctx context.Context) ([]byte, error) { return document(observer.Thresholds(ctx), nil) }},
		{"mounts.txt", func(context.Context) ([]byte, error) { return mountTable("/proc/self/mountinfo") }},
		{"mounts-crio.txt", func(ctx context.Context) ([]byte, error) {
			unit, err := w.host.Services.Unit(ctx, w.self.CRIOUnit)
			if err != nil || unit.MainPID == 0 {
				return nil, errors.Join(err, errors.New("CRI-O does not run"))
			}
			return mountTable(fmt.Sprintf("/proc/%d/mountinfo", unit.MainPID))
		}},
	}
}

func document[T any](value T, err error) ([]byte, error) {
	content, failed := json.MarshalIndent(value, "", "  ")
	return content, errors.Join(err, failed)
}

// mountTable returns the mounts that concern Kata, in a mount namespace.
func mountTable(table string) ([]byte, error) {
	all, err := os.ReadFile(table)
	var ours []string
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, "kata") || strings.Contains(line, "/containers/storage") {
			ours = append(ours, line)
		}
	}
	return []byte(strings.Join(ours, "")), err
}

// journals are the last lines of what takes part. The kubelet's is left out: it has much of other
// workloads.
func journals() []part {
	const lines = 5000
	var all []part
	for name, filter := range map[string]string{
		"agent": "--unit=" + agentUnit, "agent-pull": "--unit=kata-agent-pull.service", "crio": "--unit=crio.service", "shims": "--identifier=kata", "kernel": "--dmesg",
	} {
		all = append(all, part{"journal/" + name + ".txt", func(ctx context.Context) ([]byte, error) { return systemd.Manager{}.Log(ctx, lines, filter) }})
	}
	slices.SortFunc(all, func(a, b part) int { return strings.Compare(a.name, b.name) })
	return all
}

// directories and single files that are copied as they are.
func places() []string {
	return []string{
		host.RunDir, host.StateDir, host.GuestsDir, host.CRIOConfig, host.CRIOConfigDir, "/etc/kata-agent", "/usr/lib/kata-agent", host.ModulesFile,
		"/etc/containers/policy.json", "/etc/containers/registries.conf", "/etc/containers/registries.conf.d", "/etc/containers/registries.d", "/etc/containers/storage.conf",
		"/etc/mco/proxy.env", host.StoreDir + "/overlay-images/images.json", host.StoreDir + "/overlay-layers/layers.json",
	}
}

// left out are directories with programs and layers: they are large, and known by their digests.
func leftOut() []string { return []string{"payload", "storage", "bin"} }

// kept are the files on disk, and a list of everything that is there.
func kept(ctx context.Context, tree files.Tree, patience time.Duration) []part {
	var all []part
	list := &strings.Builder{}
	for _, place := range places() {
		here, err := bundle.Within(ctx, patience, func(context.Context) (listing, error) { return listed(tree, place) })
		if err != nil {
			fmt.Fprintf(list, "%s: %v\n", place, err)
		}
		list.WriteString(here.lines)
		for _, name := range here.files {
			all = append(all, part{"files" + name, func(context.Context) ([]byte, error) { return tree.Read(name) }})
		}
	}
	return append(all, part{"files.txt", func(context.Context) ([]byte, error) { return []byte(list.String()), nil }})
}

// listing is what is at a place: a line for everything, and the names of files that are copied.
type listing struct {
	lines string
	files []string
}

func listed(tree files.Tree, place string) (listing, error) {
	var here listing
	lines := &strings.Builder{}
	err := filepath.WalkDir(tree.Path(place), func(file string, entry fs.DirEntry, err error) error {
		name := path.Join(place, strings.TrimPrefix(file, tree.Path(place)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			fmt.Fprintf(lines, "%s: %v\n", name, err)
			return nil
		case entry.IsDir() && file != tree.Path(place) && slices.Contains(leftOut(), entry.Name()):
			fmt.Fprintf(lines, "%s is left out\n", name)
			return fs.SkipDir
		}
		fmt.Fprintln(lines, described(tree, name, entry))
		if entry.Type().IsRegular() && entry.Name() != host.GuestInitrdFile {
			here.files = append(here.files, name)
		}
		return nil
	})
	here.lines = lines.String()
	return here, err
}

func described(tree files.Tree, name string, entry fs.DirEntry) string {
	if target, err := tree.Readlink(name); err == nil {
		return fmt.Sprintf("%s -> %s", name, target)
	}
	info, err := entry.Info()
	if err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	return fmt.Sprintf("%s %s %d %s", info.Mode(), name, info.Size(), info.ModTime().UTC().Format(time.RFC3339))
}
