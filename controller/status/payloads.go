// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/controller/selection"
)

// target is the payload that nodes are brought to: where the catalogue decides, the one for the
// newest version that any of them runs.
func target(p selection.Pool) string {
	if !p.Config.Catalogued {
		return p.Config.Payload
	}
	newest, found := selection.Served{}, false
	look := func(s selection.Served) {
		// Nodes of one version may have several architectures.
		if !found || cmp.Or(release.Newer(s.Runs, newest.Runs), cmp.Compare(s.Payload, newest.Payload)) > 0 {
			newest, found = s, true
		}
	}
	for s := range p.Done {
		look(s)
	}
	for i := range p.Members {
		if m := &p.Members[i]; m.Wanted != nil {
			look(selection.Served{Runs: m.Runs, Payload: m.Wanted.Payload})
		}
	}
	return newest.Payload
}

// payloads counts what nodes serve, by digest. An older payload keeps the name under which it was
// known before.
func payloads(in Input) []v1.PayloadStatus {
	names := imageNames(in)
	served := map[string]int32{}
	for s, nodes := range in.Pool.Done {
		digest := node.Digest(s.Payload)
		served[cmp.Or(names[digest], digest)] += bounded(nodes)
	}
	for _, part := range [][]selection.Member{in.Pool.Members, in.Pool.Leaving} {
		for i := range part {
			if r := part[i].Report; r != nil && r.Payload != "" {
				served[cmp.Or(names[r.Payload], r.Payload)]++
			}
		}
	}
	out := make([]v1.PayloadStatus, 0, len(served))
	for image, nodes := range served {
		out = append(out, v1.PayloadStatus{Image: image, Nodes: nodes})
	}
	slices.SortFunc(out, func(a, b v1.PayloadStatus) int {
		return cmp.Or(-cmp.Compare(a.Nodes, b.Nodes), cmp.Compare(a.Image, b.Image))
	})
	return fitting(out[:min(len(out), v1.MaxPayloads)], maxPayloadBytes)
}

// imageNames are the names of payloads by digest. Of two names, the one counts that is in use now;
// the order of nodes does not count.
func imageNames(in Input) map[string]string {
	intents, wanted := images{}, images{}
	for s := range in.Pool.Done {
		intents.learn(s.Payload)
		wanted.learn(s.Payload)
	}
	for _, part := range [][]selection.Member{in.Pool.Members, in.Pool.Leaving} {
		for i := range part {
			if part[i].Intent != nil {
				intents.learn(part[i].Intent.Payload)
			}
		}
	}
	for i := range in.Pool.Members {
		if m := &in.Pool.Members[i]; m.Wanted != nil {
			wanted.learn(m.Wanted.Payload)
		}
	}
	names := map[string]string{}
	learn := func(image string) {
		if digest := node.Digest(image); digest != "" {
			names[digest] = image
		}
	}
	for _, p := range in.Previous.Payloads {
		learn(p.Image)
	}
	learn(in.Previous.KataImage)
	for _, part := range []images{intents, wanted} {
		for _, image := range slices.Sorted(maps.Keys(part)) {
			learn(image)
		}
	}
	learn(in.Pool.Config.Payload)
	return names
}

// images is a set.
type images map[string]bool

func (i images) learn(image string) { i[image] = true }
