// SPDX-License-Identifier: Apache-2.0

// Package decide turns what is in the cluster into everything that one pass of the controller
// writes. Decide is pure: no clock, no client, nothing remembered between calls. A Cluster makes
// the same decisions by what has changed.
package decide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/controller/status"
	"github.com/kata-node/kata-node/payload/catalog"
)

// Settings are what decisions depend on, in addition to the cluster.
type Settings struct {
	// DefaultPayload is the image by digest for KataConfigs that name none, where no catalogue is
	// there; it may be empty.
	DefaultPayload string
	// AllowedPayloads are the prefixes of references below which payloads are rolled out; nil for
	// all of them.
	AllowedPayloads []string
	// AgentDeadline is how long an intent may go unanswered before the node counts as failed.
	AgentDeadline time.Duration
	// ProgressDeadline is how long a node may stay as it is before it counts as failed.
	ProgressDeadline time.Duration
	// FailureGrace is how long a failed node keeps its place in a rollout.
	FailureGrace time.Duration
	// PingInterval is the longest time between two pings of a node at rest, 0 for none.
	PingInterval time.Duration
}

func (s Settings) limits() rollout.Limits {
	return rollout.Limits{Answer: s.AgentDeadline, Progress: s.ProgressDeadline, Grace: s.FailureGrace, Ping: s.PingInterval}
}

// Seen is the cluster as the caches have it.
type Seen struct {
	Configs []*v1.KataConfig
	// Unreadable says why one of Configs has nothing but its metadata.
	Unreadable map[types.UID]error
	// Nodes are all of them, for Decide.
	Nodes []facts.Node
	// Changed are those that have changed since the last decision, by name, nil for deleted ones;
	// for a Cluster.
	Changed      map[string]*facts.Node
	RuntimeClass *nodev1.RuntimeClass
	// OtherClasses are all RuntimeClasses of other names.
	OtherClasses []*nodev1.RuntimeClass
	// Ledger is the newest that was seen.
	Ledger ledger.Ledger
	// Catalog is the last good catalogue that was seen, nil for none; CatalogProblem says why the
	// present document is not it.
	Catalog        *catalog.Catalog
	CatalogProblem string
	// Desired is the version that the cluster is on its way to.
	Desired release.Desired
	// PolicyProblem says why the admission policies cannot be relied on, empty while they can be.
	PolicyProblem string
}

// Decision is everything that one pass writes.
type Decision struct {
	// Accept get the finalizer, Release lose it.
	Accept, Release []*v1.KataConfig
	// Existing is the RuntimeClass as it was seen, Desired as it should be; nil for none.
	Existing, Desired *nodev1.RuntimeClass
	// Others are the RuntimeClasses of aliases and of further handlers that are ours, or should be.
	Others []runtimeclass.Pair
	// Ledger replaces the one that was seen, before any change that is entered in it is made; nil
	// where it stays as it is.
	Ledger *ledger.Ledger
	// RestoreLedger is true where a grant waits for a ledger that is lost.
	RestoreLedger bool
	Changes       []rollout.Change
	Statuses      []Status
	// Unreadable counts KataConfigs that cannot be decoded.
	Unreadable int
	// CatalogProblem is true while the present catalogue cannot be used.
	CatalogProblem bool
	// Next is when a pass is due although nothing changed; zero if never.
	Next time.Time
}

// Status is the new status of one KataConfig.
type Status struct {
	Config *v1.KataConfig
	Status v1.KataConfigStatus
}

// Decide returns the same decision for the same cluster at the same time.
func Decide(s Seen, settings Settings, now time.Time) Decision {
	return decide(s, selection.Divide(configFacts(s, settings), release.Resolve(s.Catalog, s.Desired, s.Nodes)), settings, now)
}

// decide needs no more Nodes than those that are in the ledger.
func decide(s Seen, division selection.Division, settings Settings, now time.Time) Decision {
	d := Decision{Existing: s.RuntimeClass, Desired: runtimeclass.Desired(s.RuntimeClass, division.Pools, division.Draws())}
	d.Others = slices.Concat(
		runtimeclass.Aliases(s.OtherClasses, d.Existing, d.Desired, division.Pools),
		runtimeclass.Further(s.OtherClasses, d.Existing, d.Desired, division.Pools),
	)
	d.Unreadable, d.CatalogProblem = len(s.Unreadable), s.CatalogProblem != ""
	byUID := map[string]*v1.KataConfig{}
	for _, kc := range s.Configs {
		byUID[string(kc.UID)] = kc
	}
	book := rollout.Open(s.Ledger, s.Nodes, settings.limits(), now)
	for _, pool := range division.Pools {
		pace := rollout.PaceOf(pool, book, settings.limits(), now)
		d.Changes = append(d.Changes, rollout.Plan(pool, pace, now)...)
		d.wake(pace.Next)
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
	d.Ledger, d.RestoreLedger = book.Changed(), book.Restore
	d.wake(book.Next)
	d.Changes = append(d.Changes, rollout.PlanUnowned(division.Unowned, now)...)
	return d
}

// configFacts reads the KataConfigs. None of them starts anything while another owner has a
// RuntimeClass of our name, or while the admission policies cannot be relied on.
func configFacts(s Seen, settings Settings) []facts.Config {
	refusal := runtimeclass.Foreign(s.RuntimeClass)
	if refusal == nil && s.PolicyProblem != "" {
		refusal = &facts.Refusal{Reason: facts.ReasonPoliciesMissing, Message: s.PolicyProblem}
	}
	defaults := facts.Defaults{Payload: settings.DefaultPayload, Catalog: s.Catalog != nil, CatalogProblem: s.CatalogProblem}
	configs := make([]facts.Config, 0, len(s.Configs))
	for _, kc := range s.Configs {
		c := facts.OfConfig(kc, defaults)
		if problem := s.Unreadable[kc.UID]; problem != nil {
			c = facts.Unreadable(c, problem)
		}
		forbidden := notAllowed(c, s.Catalog, settings.AllowedPayloads)
		c.Refused = cmp.Or(c.Refused, forbidden, refusal)
		c.ClassProblem = runtimeclass.FurtherProblem(c.Handlers, s.OtherClasses)
		c.AliasProblem = runtimeclass.AliasProblem(c.Aliases, s.OtherClasses)
		c.Withheld = s.PolicyProblem != "" || forbidden != nil
		configs = append(configs, c)
	}
	return configs
}

// notAllowed refuses a payload that the controller's operator does not allow, and a catalogue with
// one in it as a whole. What nodes serve already stays as it is.
func notAllowed(c facts.Config, list *catalog.Catalog, prefixes []string) *facts.Refusal {
	payloads := []string{c.Payload}
	if c.Catalogued && list != nil {
		payloads = list.Images()
	}
	i := slices.IndexFunc(payloads, func(payload string) bool { return !node.PayloadAllowed(prefixes, payload) })
	if i < 0 {
		return nil
	}
	return &facts.Refusal{Reason: facts.ReasonPayloadNotAllowed, Message: fmt.Sprintf(
		"payload %q is below none of %s (--allowed-payloads of the controller): name one that is, or have the flag changed", payloads[i], cmp.Or(strings.Join(prefixes, ", "), "no prefix at all"),
	)}
}

func (d *Decision) add(pool selection.Pool, kc *v1.KataConfig, in status.Input) {
	c := pool.Config
	switch {
	case c.Deleting && c.Accepted && pool.Clean():
		d.Release = append(d.Release, kc)
		return
	case c.Acceptable():
		d.Accept = append(d.Accept, kc)
		return
	}
	if c.Refused != nil && c.Refused.Reason == facts.ReasonUnreadable {
		return
	}
	s, next := status.Of(in)
	d.Statuses = append(d.Statuses, Status{kc, s})
	d.wake(next)
}

func (d *Decision) wake(at time.Time) {
	if !at.IsZero() && (d.Next.IsZero() || at.Before(d.Next)) {
		d.Next = at
	}
}
