// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// kubeletUnit requires CRI-O, as on OpenShift.
const kubeletUnit = "kubelet.service"

// services is systemd with CRI-O's unit, and the kubelet's which requires it.
type services struct{ m *Machine }

func (s services) Unit(context.Context, string) (host.Unit, error) { return s.m.CRIO, nil }

func (s services) Check(context.Context, string) error { return s.m.CheckError }

// Words takes invocations to be in the order of their names.
func (s services) Words(_ context.Context, _ string, but ...string) (string, error) {
	last := ""
	for _, invocation := range slices.Sorted(maps.Keys(s.m.Words)) {
		if !slices.Contains(but, invocation) {
			last = s.m.Words[invocation]
		}
	}
	return last, nil
}

// Restarts takes all of them to be recent.
func (s services) Restarts(context.Context, string, time.Duration) (int, error) {
	return s.m.CRIO.Restarts, nil
}

func (s services) Fatal(context.Context, string, time.Duration) (string, error) {
	return s.m.Fatal, nil
}

// Complaints is what the test says.
func (s services) Complaints(context.Context, string, time.Duration, ...string) ([]string, error) {
	return s.m.Complaints, nil
}

func (s services) Messages(_ context.Context, name string, _ time.Duration, words ...string) ([]string, error) {
	return slices.DeleteFunc(slices.Clone(s.m.Messages[name]), func(message string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(message, word) })
	}), nil
}

func (s services) Dependents(_ context.Context, name string) ([]string, error) {
	if s.m.KubeletDown || name == host.ModulesUnit {
		return nil, nil
	}
	return []string{kubeletUnit}, nil
}

// Start starts the kubelet, which needs CRI-O.
func (s services) Start(_ context.Context, name string) error {
	if !s.m.CRIO.Active() {
		return fmt.Errorf("starting %s: job dependency", name)
	}
	s.m.KubeletDown = s.m.KubeletDown && name != kubeletUnit
	return nil
}

func (s services) Restart(_ context.Context, name string) error {
	if name == host.ModulesUnit {
		s.m.loadModules()
		return s.m.ModulesError
	}
	if s.m.RestartError != nil {
		s.m.KubeletDown = true
		return s.m.RestartError
	}
	s.m.startCRIO()
	return nil
}

// startCRIO reads drop-ins, which CRI-O does at no other time.
func (m *Machine) startCRIO() {
	m.Starts++
	m.CRIO = host.Unit{ActiveState: "active", Invocation: fmt.Sprintf("%032x", m.Starts), MainPID: 1000 + m.Starts}
	m.Handlers, m.ForeignShim, m.CRIORoot = nil, "", ""
	// A start lists every sandbox that is on disk.
	m.Sandboxes, m.Unlisted = append(m.Sandboxes, m.Unlisted...), nil
	if m.exists(host.DropIn) {
		m.Handlers = node.Handlers()
	}
}

// runtime is CRI-O over CRI.
type runtime struct{ m *Machine }

func (r runtime) List(_ context.Context, handlers ...string) ([]host.Sandbox, error) {
	if r.m.Silent {
		return nil, errors.New("listing sandboxes: connection refused")
	}
	return slices.DeleteFunc(slices.Clone(r.m.Sandboxes), func(s host.Sandbox) bool { return !slices.Contains(handlers, s.Handler) }), nil
}

// Prove runs the shim that the proof link names. A name can be used once at a time, as in CRI-O.
func (r runtime) Prove(ctx context.Context, handler, name string) (id string, err error) {
	if !slices.Contains(r.m.Handlers, handler) {
		return "", &host.UnknownHandler{Handler: handler, Err: fmt.Errorf("runtime handler %s is unknown", handler)}
	}
	if slices.ContainsFunc(slices.Concat(r.m.Sandboxes, r.m.Unlisted), func(s host.Sandbox) bool { return s.Name == name }) {
		return "", fmt.Errorf("name %s is reserved", name)
	}
	if err := os.MkdirAll(r.m.path(host.ProofLogs+"/"+name), 0o700); err != nil {
		return "", err
	}
	shim, err := os.ReadFile(r.m.path(host.ProofLink + "/" + handler + "/" + host.Shim))
	if err != nil {
		return "", err
	}
	if strings.Contains(string(shim), Hanging) {
		<-ctx.Done()
		return "", errors.New("CRI-O does not answer in time")
	}
	if strings.Contains(string(shim), Broken) {
		return "", errors.New("the shim exited: exit status 1")
	}
	slot, err := r.m.Files.Readlink(host.ProofLink)
	if err != nil {
		return "", err
	}
	r.m.Shims[name] = host.PayloadDir(filepath.Base(slot)) + "/" + host.Shim
	r.m.Sandboxes = append(r.m.Sandboxes, host.Sandbox{ID: name, Handler: handler, Namespace: "kata-agent", Name: name, Ready: true})
	if strings.Contains(string(shim), Hollow) {
		return name, errors.New("the container: the file pause was not found")
	}
	return name, nil
}

// Version is that of every CRI-O here.
func (r runtime) Version(context.Context) (string, error) {
	if r.m.Silent {
		return "", errors.New("asking for the version: connection refused")
	}
	return "1.36.3", nil
}

// Shim is what the last start has read, or another file's.
func (r runtime) Shim(_ context.Context, handler string) (string, error) {
	if r.m.ForeignShim != "" {
		return r.m.ForeignShim, nil
	}
	if !slices.Contains(r.m.Handlers, handler) {
		return "", nil
	}
	return host.CurrentLink + "/" + handler + "/" + host.Shim, nil
}

func (r runtime) Remove(_ context.Context, id string) error {
	if r.m.Kept[id] {
		return fmt.Errorf("removing sandbox %s: could not retrieve container information", id)
	}
	r.m.Sandboxes = slices.DeleteFunc(r.m.Sandboxes, func(s host.Sandbox) bool { return s.ID == id })
	return nil
}

func (r runtime) Reclaim(_ context.Context, name string) error {
	if r.m.Silent {
		return errors.New("reclaiming: connection refused")
	}
	named := func(s host.Sandbox) bool { return s.Name == name }
	r.m.Unlisted = slices.DeleteFunc(r.m.Unlisted, named)
	r.m.Sandboxes = slices.DeleteFunc(r.m.Sandboxes, named)
	return nil
}

// Abandon lets the caller of the last Prove end before the answer: the runtime keeps the sandbox,
// and does not list it.
func (m *Machine) Abandon(name string) {
	for i, s := range m.Sandboxes {
		if s.Name == name {
			m.Sandboxes, m.Unlisted = slices.Delete(m.Sandboxes, i, i+1), append(m.Unlisted, s)
			return
		}
	}
}

// processes is the process table.
type processes struct{ m *Machine }

func (p processes) Started(pid int, _ string) (host.Process, error) {
	if pid != p.m.CRIO.MainPID {
		return host.Process{}, fmt.Errorf("looking at process %d: %w", pid, fs.ErrNotExist)
	}
	return host.Process{PID: pid, Args: append([]string{"/usr/bin/crio"}, p.m.Options...), Environment: p.m.Environment}, nil
}

func (p processes) Sees(pid int, path string) error {
	root := p.m.Root
	if pid == p.m.CRIO.MainPID && p.m.CRIORoot != "" {
		root = p.m.CRIORoot
	}
	_, err := os.Stat(filepath.Join(root, path))
	return err
}

func (p processes) Using(dir string) ([]host.Process, error) {
	return slices.DeleteFunc(append(slices.Clone(p.m.Processes), p.m.shims()...), func(q host.Process) bool {
		return q.Unread == "" && !slices.ContainsFunc(q.Paths, func(path string) bool { return strings.HasPrefix(path, dir+"/") })
	}), nil
}

// shims are the processes of sandboxes of proofs.
func (m *Machine) shims() (running []host.Process) {
	for i, s := range slices.Concat(m.Sandboxes, m.Unlisted) {
		if shim, runs := m.Shims[s.ID]; runs {
			running = append(running, host.Process{PID: 3000 + i, Args: []string{shim, "-id", s.ID}, Paths: []string{shim}})
		}
	}
	return running
}

func (p processes) Holding(dir string, most int) ([]host.Process, error) {
	var found []host.Process
	for _, q := range slices.Concat(p.m.Processes, p.m.Holding) {
		if slices.ContainsFunc(q.Paths, func(path string) bool { return strings.HasPrefix(path+"/", dir+"/") }) {
			found = append(found, host.Process{PID: q.PID, Name: q.Name})
		}
	}
	return found[:min(most, len(found))], nil
}
