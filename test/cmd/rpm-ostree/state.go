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
	"slices"
	"strings"
	"syscall"
	"time"
)

// system is the directory that the places below are in, empty for that of the host.
type system string

func (s system) at(place string) string { return filepath.Join("/", string(s), place) }

func (s system) has(place string) bool {
	_, err := os.Stat(s.at(place))
	return err == nil
}

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
	// sysroot is locked by ostree and bootc while they change the system.
	sysroot = "/ostree/lock"
	// driver is there while a program such as Zincati drives updates; it has its name.
	driver = "/run/rpm-ostree/update-driver"
	// full keeps a boot from finalizing what is staged.
	full = "/boot/full"
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
	// Unlocked is empty, or "hotfix" and the like where a person has made /usr writable.
	Unlocked string `json:"unlocked"`
	// Live is the checksum that was applied to the running system, Interrupted the one that was
	// about to be.
	Live        string `json:"live"`
	Interrupted string `json:"interrupted"`
	// Has are the full names of packages of the base.
	Has  []string `json:"has"`
	RPMs []rpm    `json:"rpms"`
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

func (y system) load() (state, error) {
	content, err := os.ReadFile(y.at(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return state{[]deployment{{Base: sum("44.1", nil), Version: "44.1", Booted: true}}}, nil
	}
	if err != nil {
		return state{}, err
	}
	var s state
	return s, json.Unmarshal(content, &s)
}

func (y system) save(s state) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	file := y.at(stateFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	now := time.Now()
	if err := os.MkdirAll(y.at(deploys), 0o755); err != nil {
		return err
	}
	return os.Chtimes(y.at(deploys), now, now)
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
	d.Booted, d.Staged, d.Live, d.Applied, d.Unlocked, d.Interrupted = false, true, "", nil, "", ""
	s.Deployments = append([]deployment{d}, s.Deployments...)
}

// boot finalizes what is staged, unless it is locked or cannot be, and makes /usr that of what
// boots.
func (y system) boot() error {
	s, err := y.load()
	if err != nil {
		return err
	}
	had := s.booted()
	before := slices.Clone(had.RPMs)
	if d := s.Deployments[0]; d.Staged && (d.Locked || y.has(full)) {
		s.Deployments = s.Deployments[1:]
	}
	before = append(before, s.Deployments[0].RPMs...)
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Live != "" || d.Interrupted != "" {
			before = append(before, d.Applied...)
		}
		d.Booted, d.Staged, d.Live, d.Applied, d.Unlocked, d.Interrupted = i == 0, false, "", nil, "", ""
	}
	s.Deployments = s.Deployments[:min(len(s.Deployments), 2)]
	if err := y.remove(before); err != nil {
		return err
	}
	if err := y.install(s.Deployments[0].RPMs); err != nil {
		return err
	}
	return y.save(s)
}

func (y system) remove(all []rpm) error {
	for _, p := range all {
		for file := range p.Files {
			if err := os.Remove(y.at(file)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				return err
			}
		}
	}
	return nil
}

func (y system) install(all []rpm) error {
	for _, p := range all {
		for file, content := range p.Files {
			file = y.at(file)
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
