// SPDX-License-Identifier: Apache-2.0

package ostree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/rpmostree-client-go/pkg/client"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Status asks rpm-ostree where its deployments have changed since it was asked, where a transaction
// ran, and where some minutes have gone by.
func (s *System) Status(ctx context.Context) (host.OSTree, error) {
	if !s.exists(booted) {
		return host.OSTree{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.exists(program) {
		return host.OSTree{Bootc: s.bootc(host.Deployment{})}, nil
	}
	if changed := s.changed(); !s.counts(changed) {
		status, err := s.ask(ctx)
		if err != nil && ctx.Err() != nil {
			return host.OSTree{}, err
		}
		s.seen = seen{status: status, err: err, changed: changed, at: s.Now()}
	}
	return s.seen.status, s.seen.err
}

// ask asks without memory.
func (s *System) ask(ctx context.Context) (host.OSTree, error) {
	document, err := s.read(ctx, "status", "--json")
	if err != nil {
		return host.OSTree{}, err
	}
	status, err := Decode(document)
	if err != nil {
		return host.OSTree{}, err
	}
	runs, _ := status.Booted()
	status.Exists, status.Bootc = true, s.bootc(runs)
	return status, nil
}

// changed is when the deployments on disk last changed: rpm-ostree touches the directory for
// callers that remember what it said.
func (s *System) changed() time.Time {
	info, err := os.Stat(s.path(deploys))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (s *System) counts(changed time.Time) bool {
	limit := fresh
	if s.seen.status.Transaction != nil || s.seen.err != nil {
		limit = freshBusy
	}
	age := s.Now().Sub(s.seen.at)
	return !s.seen.at.IsZero() && s.seen.changed.Equal(changed) && age >= 0 && age < limit
}

// bootc says why a host counts as one that bootc updates. CoreOS systems have the program too and
// are updated by others, unless an administrator enables bootc's timer there.
func (s *System) bootc(runs host.Deployment) string {
	switch {
	case !s.exists(bootc):
		return ""
	case !s.exists(program):
		return "it has bootc and no rpm-ostree"
	case s.exists(timers + "/" + updater):
		return updater + " is enabled"
	case runs.Image != "" && !s.coreOS():
		return "it was made from a container image and is no CoreOS"
	}
	return ""
}

func (s *System) coreOS() bool {
	content, err := os.ReadFile(s.path(release))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "VARIANT_ID="); found {
			return strings.Trim(value, `"'`) == "coreos"
		}
	}
	return false
}

// document is what rpm-ostree prints. Every key may be missing, and unknown ones are passed over.
type document struct {
	Deployments  []deployment `json:"deployments"`
	Transaction  []string     `json:"transaction"`
	UpdateDriver struct {
		Name string `json:"driver-name"`
	} `json:"update-driver"`
}

// deployment is the library's, with what it does not read, and without what it does not need and
// may not be able to.
type deployment struct {
	client.Deployment
	Timestamp      json.RawMessage `json:"timestamp"`
	Serial         json.RawMessage `json:"serial"`
	Origin         json.RawMessage `json:"origin"`
	CustomOrigin   json.RawMessage `json:"custom-origin"`
	Removals       json.RawMessage `json:"requested-base-removals"`
	Local          []string        `json:"requested-local-packages"`
	Locked         bool            `json:"finalization-locked"`
	LiveInProgress string          `json:"live-inprogress"`
}

// Decode reads what rpm-ostree status --json prints, of any version.
func Decode(printed []byte) (host.OSTree, error) {
	var d document
	if err := json.Unmarshal(printed, &d); err != nil {
		return host.OSTree{}, fmt.Errorf("reading rpm-ostree's status: %w", err)
	}
	if d.Deployments == nil {
		return host.OSTree{}, errors.New("reading rpm-ostree's status: it has no list of deployments")
	}
	o := host.OSTree{Driver: d.UpdateDriver.Name}
	if len(d.Transaction) > 0 {
		o.Transaction = &host.Transaction{Method: d.Transaction[0]}
	}
	if len(d.Transaction) > 1 {
		o.Transaction.Sender = d.Transaction[1]
	}
	for _, one := range d.Deployments {
		o.Deployments = append(o.Deployments, one.value())
	}
	return o, nil
}

func (d deployment) value() host.Deployment {
	v := host.Deployment{
		ID: d.ID, OSName: d.OSName, Checksum: d.Checksum, Version: d.Version, Base: d.GetBaseChecksum(), Image: d.ContainerImageReference,
		Booted: d.Booted, Staged: d.Staged, Locked: d.Locked, LiveReplaced: d.LiveReplaced, LiveInProgress: d.LiveInProgress,
		Requested: d.RequestedPackages, Local: d.Local,
	}
	if d.Unlocked != nil {
		v.Unlocked = *d.Unlocked
	}
	return v
}
