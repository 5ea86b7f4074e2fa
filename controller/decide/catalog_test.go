// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/release"
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
	switch chance := w.IntN(10); {
	case chance < 2:
		w.publish("format: 1\npayloads: nonsense\n")
	case chance < 3:
		w.publish("")
	default:
		w.publish(w.upTo(oldest + w.IntN(newest-oldest+1)))
	}
}

// upTo is a catalogue in which each version has some payload.
func (w *world) upTo(last int) string {
	var out strings.Builder
	out.WriteString("format: 1\npayloads:\n")
	for minor := oldest; minor <= last; minor++ {
		fmt.Fprintf(&out, "- {image: '%s', openshift: ~4.%d}\n", w.One(factstest.PayloadA, factstest.PayloadB, payloadC), minor)
	}
	return out.String()
}

func (w *world) publish(document string) {
	w.Busy = true
	w.published.document = document
	w.published.version++
}

// desires begins the cluster's upgrade, or takes it back.
func (w *world) desires(*host) {
	if w.catalogued {
		w.published.desired = w.IntN(2) * (oldest + w.IntN(newest-oldest+1))
	}
}

// says is what a kubelet reports of its host.
func (h *host) says(info *corev1.NodeSystemInfo) {
	info.BootID, info.Architecture = h.bootID(), "amd64"
	info.KubeletVersion = fmt.Sprintf("v1.%d.3", h.minor+13)
	info.ContainerRuntimeVersion = fmt.Sprintf("cri-o://1.%d.3-1.rhaos4.%d.git1a2b3c4.el9", h.minor+13, h.minor)
}

// Reader takes in the catalogue as an instance does: it keeps the last good one.
func (w *world) Reader() func(*decide.Seen) {
	var good *catalog.Catalog
	problem, read := "", 0
	return func(s *decide.Seen) {
		if read != w.published.version {
			read = w.published.version
			parsed, err := catalog.Parse([]byte(w.published.document))
			switch {
			case w.published.document == "":
				good, problem = nil, ""
			case err != nil:
				problem = err.Error()
			default:
				good, problem = parsed, ""
			}
		}
		s.Catalog, s.CatalogProblem, s.Desired = good, problem, w.desired()
	}
}

func (w *world) desired() release.Desired {
	if w.published.desired == 0 {
		return release.Desired{Known: !w.unread}
	}
	return release.Desired{Known: !w.unread, Version: fmt.Sprintf("4.%d.0-rc.1", w.published.desired)}
}

// hasAhead is true of a node that has fetched what its cluster's next version needs.
func (w *world) hasAhead(p selection.Pool, m selection.Member) {
	want := ""
	if p.Config.Catalogued {
		want = m.Release.Prefetch
	}
	if m.Intent.Prefetch != want || want != "" && w.named(m.Name).fetched != want {
		w.Fails("%s has %q and not %q ahead of time", m.Name, m.Intent.Prefetch, want)
	}
}

// fetch is what an agent does last: it has the image one observation later.
func (h *host) fetch(found bool) (has string) {
	switch {
	case !found, h.wanted.Prefetch == "":
		h.fetched = ""
	case h.fetched != h.wanted.Prefetch:
		h.fetched, h.w.Busy = h.wanted.Prefetch, true
	default:
		return h.fetched
	}
	return ""
}
