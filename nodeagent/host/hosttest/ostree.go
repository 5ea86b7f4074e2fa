// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// ostreed is rpm-ostree: a transaction stages a deployment on top of the one that boots next, and
// the running system has what is booted or was applied live.
type ostreed struct{ m *Machine }

// programs are what packages of these names bring, as real ones do.
func programs() map[string]string {
	return map[string]string{"qemu-kvm-core": "/usr/libexec/qemu-kvm", "virtiofsd": "/usr/libexec/virtiofsd"}
}

// BootOSTree makes the machine one that has booted a deployment, with rpm-ostree.
func (m *Machine) BootOSTree() {
	m.OSTree = host.OSTree{Exists: true, Deployments: []host.Deployment{{ID: "os-1", OSName: "fedora-coreos", Checksum: "1", Base: "1", Booted: true}}}
}

// FinalizeOSTree is what a reboot does to deployments: the first one boots.
func (m *Machine) FinalizeOSTree() error {
	o := &m.OSTree
	for i := range o.Deployments {
		d := &o.Deployments[i]
		d.Booted, d.Staged, d.LiveReplaced, d.LiveInProgress, d.Unlocked = i == 0, false, "", "", ""
	}
	o.Deployments = o.Deployments[:min(len(o.Deployments), 2)]
	return m.install(o.Deployments[0].Local)
}

func (o ostreed) Status(context.Context) (host.OSTree, error) {
	s := o.m.OSTree
	s.Deployments = slices.Clone(s.Deployments)
	return s, o.m.OstreeSilent
}

func (o ostreed) Unfinalized(context.Context) (string, error) { return o.m.Unfinalized, nil }

func (o ostreed) Layer(_ context.Context, change host.Layering) error {
	system := &o.m.OSTree
	if o.m.OstreeError != nil {
		return o.m.OstreeError
	}
	if system.Transaction != nil {
		return &host.OstreeError{Class: host.OstreeBusy, Err: errors.New("rpm-ostree: Transaction in progress")}
	}
	next, _ := system.Next()
	local := slices.DeleteFunc(slices.Clone(next.Local), func(nevra string) bool {
		return slices.ContainsFunc(change.Uninstall, func(name string) bool { return strings.HasPrefix(nevra, name+"-") })
	})
	for _, file := range change.Install {
		if _, err := os.Stat(file); err != nil {
			return err
		}
		local = append(local, strings.TrimSuffix(path.Base(file), ".rpm"))
	}
	slices.Sort(local)
	local = slices.Compact(local)
	if slices.Equal(local, next.Local) {
		return nil
	}
	system.Deployments = slices.DeleteFunc(system.Deployments, func(d host.Deployment) bool { return d.Staged })
	next.ID, next.Checksum, next.Local = "", checksum(next.Base, local), local
	next.Booted, next.Staged, next.LiveReplaced, next.Unlocked = false, true, "", "none"
	system.Deployments = append([]host.Deployment{next}, system.Deployments...)
	return nil
}

func checksum(base string, local []string) string {
	if len(local) == 0 {
		return base
	}
	sum := sha256.Sum256([]byte(base + strings.Join(local, " ")))
	return hex.EncodeToString(sum[:])
}

// ApplyLive adds packages, and refuses what changes or removes them.
func (o ostreed) ApplyLive(context.Context) error {
	at := slices.IndexFunc(o.m.OSTree.Deployments, func(d host.Deployment) bool { return d.Booted })
	runs, next := &o.m.OSTree.Deployments[at], o.m.OSTree.Deployments[0]
	if target := runs.LiveInProgress; target != "" && target != next.Checksum {
		return &host.OstreeError{Class: host.OstreeLiveRefused, Err: fmt.Errorf("Previously interrupted while targeting commit %s, cannot change target to %s", target, next.Checksum)} //nolint:staticcheck // rpm-ostree's own words
	}
	for _, nevra := range runs.Local {
		if !slices.Contains(next.Local, nevra) {
			return &host.OstreeError{Class: host.OstreeLiveRefused, Err: errors.New("packages would be removed: 1, allow replacement to override")}
		}
	}
	if o.m.NeverLive {
		return &host.OstreeError{Class: host.OstreeLiveRefused, Err: errors.New("packages would be changed: 1, allow replacement to override")}
	}
	runs.LiveReplaced, runs.LiveInProgress, runs.Unlocked = next.Checksum, "", "transient"
	return o.m.install(next.Local)
}

// install makes the system have exactly the programs of these packages.
func (m *Machine) install(local []string) error {
	for name, program := range programs() {
		file := filepath.Join(m.Root, program)
		if !slices.ContainsFunc(local, func(nevra string) bool { return strings.HasPrefix(nevra, name+"-") }) {
			if err := os.RemoveAll(file); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte("#!/bin/true"), 0o600); err != nil {
			return err
		}
		if err := os.Chmod(file, 0o755); err != nil {
			return err
		}
	}
	return nil
}
