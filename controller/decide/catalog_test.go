// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/payload/catalog"
)

// The minor versions of OpenShift that hosts of a world run, and are upgraded to.
const (
	oldest = 17
	newest = 20
)

// published is a world's catalogue as its administrator has it: a document that may be bad, or
// none.
type published struct {
	document string
	version  int
	desired  int // the cluster's desired minor version, 0 for a cluster that has none
}

// upgrades boots a host into the next version, as a cluster's upgrade does node by node.
func (w *world) upgrades(h *host) {
	h.minor = min(h.minor+1, newest)
	h.reboot()
}

// publishes changes the catalogue: it has versions up to some one, or it is bad, or it is deleted.
func (w *world) publishes(*host) {
	if !w.catalogued {
		return
	}
	switch chance := w.rnd.IntN(10); {
	case chance < 2:
		w.publish("format: 1\npayloads: nonsense\n")
	case chance < 3:
		w.publish("")
	default:
		w.publish(w.upTo(oldest + w.rnd.IntN(newest-oldest+1)))
	}
}

// upTo is a catalogue in which each version has some payload.
func (w *world) upTo(last int) string {
	var out strings.Builder
	out.WriteString("format: 1\npayloads:\n")
	for minor := oldest; minor <= last; minor++ {
		fmt.Fprintf(&out, "- {image: '%s', openshift: ~4.%d}\n", w.one(factstest.PayloadA, factstest.PayloadB, payloadC), minor)
	}
	return out.String()
}

func (w *world) publish(document string) {
	w.busy = true
	w.published.document = document
	w.published.version++
}

// desires begins the cluster's upgrade, or takes it back.
func (w *world) desires(*host) {
	if w.catalogued {
		w.published.desired = w.rnd.IntN(2) * (oldest + w.rnd.IntN(newest-oldest+1))
	}
}

// says is what a kubelet reports of its host.
func (h *host) says(info *corev1.NodeSystemInfo) {
	info.BootID, info.Architecture = h.bootID(), "amd64"
	info.KubeletVersion = fmt.Sprintf("v1.%d.3", h.minor+13)
	info.ContainerRuntimeVersion = fmt.Sprintf("cri-o://1.%d.3-1.rhaos4.%d.git1a2b3c4.el9", h.minor+13, h.minor)
}

// reads takes in the catalogue as an instance does.
func (l *leader) reads(s *decide.Seen) {
	if l.read != l.w.published.version {
		l.read = l.w.published.version
		parsed, err := catalog.Parse([]byte(l.w.published.document))
		switch {
		case l.w.published.document == "":
			l.catalog, l.problem = nil, ""
		case err != nil:
			l.problem = err.Error()
		default:
			l.catalog, l.problem = parsed, ""
		}
	}
	s.Catalog, s.CatalogProblem = l.catalog, l.problem
	s.Desired = l.w.desired()
}

func (w *world) desired() release.Desired {
	if w.published.desired == 0 {
		return release.Desired{Known: !w.unread}
	}
	return release.Desired{Known: !w.unread, Version: fmt.Sprintf("4.%d.0-rc.1", w.published.desired)}
}

// divide is the division of what an instance has seen.
func (w *world) divide(configs []*v1.KataConfig, seen decide.Seen) selection.Division {
	var known []facts.Config
	for _, kc := range configs {
		known = append(known, facts.OfConfig(kc, facts.Defaults{Payload: w.settings().DefaultPayload, Catalog: seen.Catalog != nil, CatalogProblem: seen.CatalogProblem}))
	}
	return selection.Divide(known, release.Resolve(seen.Catalog, seen.Desired, seen.Nodes))
}

// rightPayload holds because no node gets a payload that is not for what it runs.
func (w *world) rightPayload(p selection.Pool, m selection.Member, c rollout.Change, seen decide.Seen) {
	if !p.Config.Catalogued {
		if c.Intent.Payload != p.Config.Payload {
			w.fails("%s gets %s, and %s names %s", m.Name, c.Intent.Payload, p.Config.Name, p.Config.Payload)
		}
		return
	}
	if seen.Catalog == nil {
		w.fails("%s gets a payload without a catalogue", m.Name)
	}
	e, err := seen.Catalog.Resolve(catalog.Target(c.Node.Runs))
	if err != nil || c.Intent.Payload != e.Image {
		w.fails("%s runs %+v and gets %s: %v", m.Name, c.Node.Runs, c.Intent.Payload, err)
	}
}

// fetchesLast holds for what is fetched ahead of time: it changes nothing else, only where no
// member of the pool is at work or begins, and for no more than maxParallel at once.
func (w *world) fetchesLast(p selection.Pool, changes map[string]rollout.Change) {
	fetching, begun := 0, false
	for _, m := range p.Members {
		c := changes[m.Name]
		if c.Event != rollout.EventPrefetch {
			fetching += w.fetches(m)
			continue
		}
		begun = true
		before, after := *m.Intent, *c.Intent
		if before.Prefetch == after.Prefetch || !m.Settled() {
			w.fails("%s is to fetch what it has: %+v", m.Name, after)
		}
		if before.Prefetch = after.Prefetch; !reflect.DeepEqual(before, after) {
			w.fails("%s gets more than something to fetch: %+v", m.Name, after)
		}
		if after.Prefetch != "" {
			fetching++
		}
	}
	if !begun {
		return
	}
	for _, m := range p.Members {
		if c := changes[m.Name]; c.Intent != nil && c.Event != rollout.EventPrefetch && c.Event != rollout.EventReboot || m.Carries() && w.moves(m.Node) {
			w.fails("something is fetched for %s while %s is at work", p.Config.Name, m.Name)
		}
	}
	if fetching > p.Config.MaxParallel {
		w.fails("%d nodes of %s fetch at once", fetching, p.Config.Name)
	}
}

// fetches is 1 for a node that is about to fetch something, and for no longer than a node may take.
func (w *world) fetches(m selection.Member) int {
	if m.Carries() && m.Intent.Prefetch != "" && m.Report != nil && m.Report.Prefetched == "" && w.now.Sub(m.Since) < w.settings().ProgressDeadline {
		return 1
	}
	return 0
}

// hasAhead is true of a node that has fetched what its cluster's next version needs.
func (w *world) hasAhead(p selection.Pool, m selection.Member) {
	want := ""
	if p.Config.Catalogued {
		want = m.Release.Prefetch
	}
	if m.Intent.Prefetch != want || want != "" && w.named(m.Name).fetched != want {
		w.fails("%s has %q and not %q ahead of time", m.Name, m.Intent.Prefetch, want)
	}
}

// fetch is what an agent does last: it has the image one observation later.
func (h *host) fetch(found bool) (has string) {
	switch {
	case !found, h.wanted.Prefetch == "":
		h.fetched = ""
	case h.fetched != h.wanted.Prefetch:
		h.fetched, h.w.busy = h.wanted.Prefetch, true
	default:
		return h.fetched
	}
	return ""
}

// payloadsOf are those that the members of a pool should have.
func payloadsOf(p selection.Pool) []string {
	var out []string
	for _, m := range p.Members {
		if m.Wanted != nil && !slices.Contains(out, m.Wanted.Payload) {
			out = append(out, m.Wanted.Payload)
		}
	}
	return out
}
