// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/guestconfig"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func (o Observer) versions(f *plan.Facts) error {
	names, err := o.Host.Files.List(host.VersionsDir)
	if err != nil {
		return err
	}
	mounted, err := o.Host.Mounts.Below(host.VersionsDir, 0)
	if err != nil {
		return err
	}
	for _, id := range names {
		if id != host.Pending && !strings.HasPrefix(id, ".") {
			f.Versions = append(f.Versions, o.version(id, mounted))
		}
	}
	if len(f.Versions) == 0 {
		return nil
	}
	return o.holders(f)
}

func (o Observer) version(id string, mounted []string) plan.Version {
	var origin host.Origin
	// A version without its record was never mounted: it has no image and goes.
	_, _ = o.record(path.Join(host.VersionDir(id), host.OriginRecord), &origin) //nolint:errcheck // see above
	return plan.Version{
		ID: id, Image: origin.Image, Payload: origin.Payload, Release: origin.Release,
		Mounted:    slices.Contains(mounted, host.PayloadDir(id)),
		Verified:   o.exists(path.Join(host.VersionDir(id), host.VerifiedMark)),
		Configured: o.configured(id),
		Proved:     o.exists(path.Join(host.VersionDir(id), host.ProvedMark)),
	}
}

func (o Observer) configured(id string) bool {
	for _, handler := range []string{node.Handler, node.ProofHandler} {
		dir := path.Join(host.VersionDir(id), handler)
		if _, err := o.Host.Files.Readlink(path.Join(dir, host.Shim)); err != nil || !o.exists(path.Join(dir, host.Configuration)) {
			return false
		}
	}
	return true
}

// holders finds who uses each version. A running sandbox that no process ties to a version holds all of them, and so does a CRI-O that does not answer.
func (o Observer) holders(f *plan.Facts) error {
	processes, err := o.Host.Processes.Using(host.VersionsDir)
	if err != nil {
		return err
	}
	for i := range f.Versions {
		v := &f.Versions[i]
		for _, p := range processes {
			if uses(p, v.ID) {
				v.Holders = append(v.Holders, fmt.Sprintf("process %d (%s)", p.PID, path.Base(p.Args[0])))
			}
		}
	}
	everyone := unattributed(f, processes)
	for i := range f.Versions {
		f.Versions[i].Holders = append(f.Versions[i].Holders, everyone...)
	}
	return nil
}

func uses(p host.Process, id string) bool {
	return slices.ContainsFunc(p.Paths, func(file string) bool { return strings.HasPrefix(file, host.VersionDir(id)+"/") })
}

func unattributed(f *plan.Facts, processes []host.Process) []string {
	if f.DropIn.Exists && !f.CRIO.Answers {
		return []string{"CRI-O, which does not answer"}
	}
	var holders []string
	for _, s := range f.CRIO.Sandboxes {
		tied := slices.ContainsFunc(processes, func(p host.Process) bool { return slices.Contains(p.Args, s.ID) })
		if s.Ready && !tied {
			holders = append(holders, fmt.Sprintf("kata sandbox %s (%s)", s.Name, s.ID))
		}
	}
	return holders
}

// settings reads administrators' configuration fragments; a version covers them.
func (o Observer) settings(f *plan.Facts) error {
	fragments, err := Fragments(o.Host.Files)
	if err != nil {
		return err
	}
	f.Settings = guestconfig.Fingerprint(fragments)
	return nil
}

// Fragments returns the administrators' files for configuration.toml, in order of their names.
func Fragments(files host.Files) ([]guestconfig.Fragment, error) {
	names, err := files.List(host.ConfigDir)
	if err != nil {
		return nil, err
	}
	var fragments []guestconfig.Fragment
	for _, name := range names {
		if !strings.HasSuffix(name, ".toml") {
			continue
		}
		content, err := files.Read(path.Join(host.ConfigDir, name))
		if err != nil {
			return nil, err
		}
		fragments = append(fragments, guestconfig.Fragment{Name: name, Content: content})
	}
	return fragments, nil
}

// versionOf returns the version that a link's target names.
func versionOf(target string) string {
	if id := path.Base(target); target != "" {
		return id
	}
	return host.Pending
}
