// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Picture is what one listing of the runtime showed, per pod UID: the state of each sandbox by id.
type Picture map[types.UID]map[string]cri.PodSandboxState

// Observe makes a Picture of a listing. Sandboxes without metadata are passed over, as the kubelet
// passes them over.
func Observe(all []*cri.PodSandbox) Picture {
	seen := Picture{}
	for _, s := range all {
		if s.GetMetadata() == nil {
			continue
		}
		if seen[UID(s)] == nil {
			seen[UID(s)] = map[string]cri.PodSandboxState{}
		}
		seen[UID(s)][s.GetId()] = s.GetState()
	}
	return seen
}

// Changed returns the UIDs, sorted, whose sandboxes differ between two pictures: came, went, or
// changed state.
func Changed(before, after Picture) []types.UID {
	differ := map[types.UID]bool{}
	for uid := range before {
		differ[uid] = !maps.Equal(before[uid], after[uid])
	}
	for uid := range after {
		differ[uid] = !maps.Equal(before[uid], after[uid])
	}
	maps.DeleteFunc(differ, func(_ types.UID, changed bool) bool { return !changed })
	return slices.Sorted(maps.Keys(differ))
}

// Unknown returns the UIDs, sorted, that have sandboxes although known denies them.
// A sandbox made by anybody else than this kubelet is among them, whatever its labels claim.
func (p Picture) Unknown(known func(types.UID) bool) []types.UID {
	uids := slices.Sorted(maps.Keys(p))
	return slices.DeleteFunc(uids, known)
}
