// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Places on the node. What is below /run ends with a boot.
const (
	stateFile   = "/var/lib/rpm-ostree/state.json"
	lockFile    = "/run/rpm-ostree-transaction.lock"
	transaction = "/run/rpm-ostree-transaction.json"
	// held makes every transaction wait while it exists.
	held = "/run/rpm-ostree-hold"
	// deploys is touched with every change, for callers that remember a status.
	deploys = "/ostree/deploy"
	config  = "/etc/rpm-ostreed.conf"
)

// rpm is what stands for a package's file.
type rpm struct {
	Name  string `json:"name"`
	NEVRA string `json:"nevra"`
	// Files are contents of programs by path.
	Files map[string]string `json:"files"`
}

// deployment is one bootable system.
type deployment struct {
	Base    string `json:"base"`
	Version string `json:"version"`
	Serial  int    `json:"serial"`
	Booted  bool   `json:"booted"`
	Staged  bool   `json:"staged"`
	Locked  bool   `json:"locked"`
	Live    string `json:"live"`
	RPMs    []rpm  `json:"rpms"`
	// Applied are packages that a live application has added to the running system.
	Applied []rpm `json:"applied"`
}

func (d deployment) checksum() string {
	if len(d.RPMs) == 0 {
		return d.Base
	}
	return sum(d.Base, d.names())
}

func (d deployment) names() []string {
	names := []string{}
	for _, p := range d.RPMs {
		names = append(names, p.NEVRA)
	}
	return names
}

func sum(words string, more []string) string {
	digest := sha256.Sum256([]byte(words + strings.Join(more, " ")))
	return hex.EncodeToString(digest[:])
}

// state is all that outlives the program.
type state struct {
	Deployments []deployment `json:"deployments"`
}

func load() (state, error) {
	content, err := os.ReadFile(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return state{[]deployment{{Base: sum("44.1", nil), Version: "44.1", Booted: true}}}, nil
	}
	if err != nil {
		return state{}, err
	}
	var s state
	return s, json.Unmarshal(content, &s)
}

func (s state) save() error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(stateFile), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(stateFile+".new", content, 0o600); err != nil {
		return err
	}
	if err := os.Rename(stateFile+".new", stateFile); err != nil {
		return err
	}
	now := time.Now()
	if err := os.MkdirAll(deploys, 0o755); err != nil {
		return err
	}
	return os.Chtimes(deploys, now, now)
}

func (s *state) booted() *deployment {
	for i := range s.Deployments {
		if s.Deployments[i].Booted {
			return &s.Deployments[i]
		}
	}
	return nil
}

// stage puts a deployment where it boots next, in place of one that is staged already.
func (s *state) stage(d deployment) {
	if s.Deployments[0].Staged {
		s.Deployments = s.Deployments[1:]
	}
	d.Booted, d.Staged, d.Live = false, true, ""
	s.Deployments = append([]deployment{d}, s.Deployments...)
}

// boot finalizes what is staged, unless it is locked, and makes /usr that of what boots.
func boot() error {
	s, err := load()
	if err != nil {
		return err
	}
	had := s.booted()
	if s.Deployments[0].Locked {
		s.Deployments = s.Deployments[1:]
	}
	before := append(append([]rpm{}, had.RPMs...), s.Deployments[0].RPMs...)
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Live != "" {
			before = append(before, d.Applied...)
		}
		d.Booted, d.Staged, d.Live, d.Applied = i == 0, false, "", nil
	}
	s.Deployments = s.Deployments[:min(len(s.Deployments), 2)]
	if err := remove(before); err != nil {
		return err
	}
	if err := install(s.Deployments[0].RPMs); err != nil {
		return err
	}
	return s.save()
}

func remove(all []rpm) error {
	for _, p := range all {
		for file := range p.Files {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func install(all []rpm) error {
	for _, p := range all {
		for file, content := range p.Files {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// running is the transaction under way.
type running struct {
	Method string `json:"method"`
	Title  string `json:"title"`
	Sender string `json:"sender"`
}

// begin takes the one place that there is for a transaction. Where it is taken, the error is
// rpm-ostree's. The kernel gives the place back with the process.
func begin(r running) (end func(), err error) {
	lock, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		other, _ := current() //nolint:errcheck // without it the title is empty
		return nil, errors.Join(sayf("Updating deployment: GDBus.Error:org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code26: Transaction in progress: %s\n You can cancel the current transaction with `rpm-ostree cancel`", other.Title), lock.Close())
	}
	content, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(transaction, content, 0o600); err != nil {
		return nil, err
	}
	return func() {
		_ = os.Remove(transaction) //nolint:errcheck // it ends with the boot
		_ = lock.Close()           //nolint:errcheck // as above
	}, nil
}

// current returns the transaction under way: a file that a process left which was killed is none.
func current() (running, bool) {
	var r running
	lock, err := os.OpenFile(lockFile, os.O_RDWR, 0o600)
	if err != nil {
		return r, false
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return r, false
	}
	content, err := os.ReadFile(transaction)
	return r, err == nil && json.Unmarshal(content, &r) == nil
}
