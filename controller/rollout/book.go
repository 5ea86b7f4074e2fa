// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
)

// Book is the ledger during one pass: what still counts of it, and what the pass adds.
type Book struct {
	read, entries ledger.Ledger
	// Next is when an entry ends although nothing else happens; zero if none does.
	Next time.Time
	// Restore is true where a grant waits for a ledger that is lost.
	Restore bool
}

// Open keeps the entries that may still make a node unavailable.
func Open(l ledger.Ledger, nodes []facts.Node, limits Limits, now time.Time) *Book {
	b := &Book{read: l, entries: ledger.Ledger{Version: l.Version, Entries: map[string]ledger.Entry{}}}
	known := make(map[string]facts.Node, len(l.Entries))
	for _, n := range nodes {
		if _, entered := l.Entries[n.Name]; entered {
			known[n.Name] = n
		}
	}
	for name, e := range l.Entries {
		n, found := known[name]
		if is, until := holds(e, n, found, limits, now); is == moving {
			b.entries.Entries[name] = e
			b.wake(until)
		}
	}
	return b
}

func (b *Book) wake(at time.Time) {
	if !at.IsZero() && (b.Next.IsZero() || at.Before(b.Next)) {
		b.Next = at
	}
}

// Restore enters a Node into a ledger that takes the place of a lost one, where the lost one may
// have had a grant for it that is still on its way: where it asks for one. A grant for an earlier
// version of the Node is refused. The Node has to be read after the ledger was found lost.
func Restore(l ledger.Ledger, n facts.Node, now time.Time) {
	if kinds := asks(n); len(kinds) > 0 {
		(&Book{entries: l}).enter(n, kinds[0], now)
	}
}

// Changed returns the ledger that is to be written, nil where it stays as it is.
func (b *Book) Changed() *ledger.Ledger {
	if b.read.Lost || b.entries.Same(b.read) {
		return nil
	}
	return &ledger.Ledger{Version: b.entries.Version, Entries: maps.Clone(b.entries.Entries)}
}

// holds returns moving while an entry may make its node unavailable, and until when. Only a Node
// later than the one that the grant was for tells whether it was given, and what became of it: this
// instance's cache may be behind, or another one's write under way. Neither takes longer than a
// node may be silent.
func holds(e ledger.Entry, n facts.Node, found bool, limits Limits, now time.Time) (is standing, until time.Time) {
	switch {
	case !found, compare(n.ResourceVersion, e.Version) <= 0:
		return expired(e.Since, limits.Answer, now, excused)
	case n.UID != e.UID:
		return excused, time.Time{}
	}
	if caused, until := outstanding(n, limits, now); caused {
		return moving, until
	}
	if e.Kind == ledger.Withdrawn && !rid(e, n) {
		return expired(n.Since, limits.Answer, now, excused)
	}
	if e.Kind == ledger.RestartCRIO && !n.Ready && used(e, n) {
		return expired(n.Since, limits.Answer, now, excused)
	}
	return settled, time.Time{}
}

// rid is true for a node that cannot use any more what was taken back from it: it needs it no more,
// is in another boot, or its agent has answered the ping that came with the withdrawal. A kubelet
// may be Ready for a while after a restart of CRI-O that has failed.
func rid(e ledger.Entry, n facts.Node) bool {
	if n.Report == nil {
		return false
	}
	answers := n.Ready && n.Answered() && !n.Intent.Ping.IsZero() && n.Report.Ping.Equal(n.Intent.Ping)
	restarts := n.Report.Error != nil && n.Report.Error.Step == restartStep
	return answers && !restarts || n.Report.BootID != e.Boot || n.Serves() && !n.Report.RebootRequired
}

// used is true in the boot of a restart that was granted. The kubelet is restarted with CRI-O, and
// may be Ready again later than the agent reports that it went on: until then the node is
// unavailable because of the grant. Later on, when the entry is over, it would be for another
// reason.
func used(e ledger.Entry, n facts.Node) bool {
	return n.Intent != nil && n.Intent.Grants.RestartCRIO == e.Boot && n.Report != nil && n.Report.BootID == e.Boot
}

// compare takes versions that have no order for a later one.
func compare(version, than string) int {
	order, err := resourceversion.CompareResourceVersion(version, than)
	if err != nil && version != than {
		return 1
	}
	return order
}

// spent is true for a node whose unavailability is in the book.
func (b *Book) spent(n facts.Node) bool {
	e, found := b.entries.Entries[n.Name]
	return found && e.UID == n.UID
}

// pending is true where the entry of this grant is in the book, and the grant is not on the Node:
// it can be given by this entry.
func (b *Book) pending(n facts.Node, kind ledger.Kind) bool {
	e := b.entries.Entries[n.Name]
	return b.spent(n) && e.Kind == kind && e.Boot == n.Report.BootID && e.Version == n.ResourceVersion
}

// withdraw makes the entry of a node one whose grant is taken back. It holds for as long as a node
// may be silent: who has read the grant just before has used it by then.
func (b *Book) withdraw(n facts.Node, now time.Time) bool {
	if e := b.entries.Entries[n.Name]; b.spent(n) && e.Kind == ledger.Withdrawn && e.Version == n.ResourceVersion {
		return true
	}
	return b.enter(n, ledger.Withdrawn, now)
}

// newEntry is how long an entry is as good as a new one. It is much shorter than what an entry
// holds, and longer than an instance takes to begin: where each one ends at its first write, the
// next one gives the grant that this one has entered.
const newEntry = 30 * time.Second

// renew lets an entry hold as long as one that is made now.
func (b *Book) renew(n facts.Node, now time.Time) {
	e := b.entries.Entries[n.Name]
	if now.Sub(e.Since) >= newEntry {
		e.Since = now
		b.entries.Entries[n.Name] = e
	}
}

// enter makes an entry, unless the ledger is full or lost.
func (b *Book) enter(n facts.Node, kind ledger.Kind, now time.Time) bool {
	if b.read.Lost {
		b.Restore = true
		return false
	}
	if !b.spent(n) && len(b.entries.Entries) >= ledger.Most {
		return false
	}
	boot := n.BootID
	if n.Report != nil {
		boot = n.Report.BootID
	}
	b.entries.Entries[n.Name] = ledger.Entry{Kind: kind, UID: n.UID, Boot: boot, Version: n.ResourceVersion, Since: now}
	return true
}
