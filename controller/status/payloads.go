// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
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
	var newest *selection.Member
	for i, m := range p.Members {
		if m.Wanted != nil && (newest == nil || release.Newer(m.Runs, newest.Runs) > 0) {
			newest = &p.Members[i]
		}
	}
	if newest == nil {
		return ""
	}
	return newest.Wanted.Payload
}

// payloads counts what nodes serve, by digest. An older payload keeps the name under which it was
// known before.
func payloads(in Input) []v1.PayloadStatus {
	names := imageNames(in)
	served := map[string]int32{}
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

func imageNames(in Input) map[string]string {
	names, last := map[string]string{}, ""
	learn := func(image string) {
		if image == last {
			return
		}
		last = image
		if digest := node.Digest(image); digest != "" {
			names[digest] = image
		}
	}
	for _, p := range in.Previous.Payloads {
		learn(p.Image)
	}
	learn(in.Previous.KataImage)
	for _, part := range [][]selection.Member{in.Pool.Members, in.Pool.Leaving} {
		for i := range part {
			if part[i].Intent != nil {
				learn(part[i].Intent.Payload)
			}
		}
	}
	for i := range in.Pool.Members {
		if wanted := in.Pool.Members[i].Wanted; wanted != nil {
			learn(wanted.Payload)
		}
	}
	learn(in.Pool.Config.Payload)
	return names
}
