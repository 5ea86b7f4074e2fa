// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"time"

	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/controller/status"
)

// seen is the cluster as the caches have it.
type seen struct {
	configs []*v1.KataConfig
	// unreadable says why one of configs has nothing but its metadata.
	unreadable   map[types.UID]error
	nodes        []facts.Node
	runtimeClass *nodev1.RuntimeClass
}

// decision is everything that one pass writes.
type decision struct {
	accept, release   []*v1.KataConfig
	existing, desired *nodev1.RuntimeClass
	changes           []rollout.Change
	statuses          []newStatus
	// unreadable counts KataConfigs that cannot be decoded.
	unreadable int
	// next is when a pass is due although nothing changed; zero if never.
	next time.Time
}

type newStatus struct {
	config *v1.KataConfig
	status v1.KataConfigStatus
}

// decide is a pure function: the same cluster at the same time gives the same decision.
func decide(s seen, settings Settings, now time.Time) decision {
	division := selection.Divide(configFacts(s, settings), s.nodes)
	d := decision{existing: s.runtimeClass, desired: runtimeclass.Desired(s.runtimeClass, division.Pools, slices.ContainsFunc(s.nodes, draws))}
	d.unreadable = len(s.unreadable)
	byUID := map[string]*v1.KataConfig{}
	for _, kc := range s.configs {
		byUID[string(kc.UID)] = kc
	}
	for _, pool := range division.Pools {
		pace := rollout.PaceOf(pool, settings.limits(), now)
		d.changes = append(d.changes, rollout.Plan(pool, pace, now)...)
		d.add(pool, byUID[pool.Config.UID], status.Input{
			Pool:        pool,
			Previous:    byUID[pool.Config.UID].Status,
			Overhead:    runtimeclass.Overhead(division.Pools),
			Deadline:    settings.AgentDeadline,
			Progress:    settings.ProgressDeadline,
			Unavailable: pace.Unavailable,
			Halted:      pace.Halted,
			Now:         now,
		})
	}
	d.changes = append(d.changes, rollout.PlanUnowned(division.Unowned, now)...)
	return d
}

// draws is true for a node with an agent that kata pods may be bound to.
func draws(n facts.Node) bool { return n.Labelled() && n.Report != nil }

// configFacts reads the KataConfigs. None of them starts anything while another owner has a
// RuntimeClass of our name.
func configFacts(s seen, settings Settings) []facts.Config {
	foreign := runtimeclass.Foreign(s.runtimeClass)
	configs := make([]facts.Config, 0, len(s.configs))
	for _, kc := range s.configs {
		c := facts.OfConfig(kc, settings.DefaultPayload)
		if problem := s.unreadable[kc.UID]; problem != nil {
			c = facts.Unreadable(c, problem)
		}
		if foreign != nil && c.Refused == nil {
			c.Refused = foreign
		}
		configs = append(configs, c)
	}
	return configs
}

func (d *decision) add(pool selection.Pool, kc *v1.KataConfig, in status.Input) {
	c := pool.Config
	switch {
	case c.Deleting && c.Accepted && pool.Clean():
		d.release = append(d.release, kc)
		return
	case c.Acceptable():
		d.accept = append(d.accept, kc)
		return
	}
	if c.Refused != nil && c.Refused.Reason == facts.ReasonUnreadable {
		return
	}
	s, next := status.Of(in)
	d.statuses = append(d.statuses, newStatus{kc, s})
	if !next.IsZero() && (d.next.IsZero() || next.Before(d.next)) {
		d.next = next
	}
}
