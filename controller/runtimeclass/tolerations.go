// SPDX-License-Identifier: Apache-2.0

package runtimeclass

import (
	"cmp"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kata-node/kata-node/controller/selection"
)

// Tolerations are those of every KataConfig that holds the class, each once and in the same order
// at every pass. One without nodes counts too: a node group that an autoscaler scales from zero has
// none before the first pod tolerates its taints. One that nothing new is started for counts as
// well: its nodes still serve.
func Tolerations(pools []selection.Pool) []corev1.Toleration {
	var all []corev1.Toleration
	for _, p := range pools {
		if p.Config.Accepted && !removed(p) {
			all = append(all, p.Config.Tolerations...)
		}
	}
	slices.SortFunc(all, byContent)
	// The API server refuses a class that has the same toleration twice.
	return slices.CompactFunc(all, func(a, b corev1.Toleration) bool { return equality.Semantic.DeepEqual(a, b) })
}

func byContent(a, b corev1.Toleration) int {
	return cmp.Or(
		cmp.Compare(a.Key, b.Key),
		cmp.Compare(a.Operator, b.Operator),
		cmp.Compare(a.Value, b.Value),
		cmp.Compare(a.Effect, b.Effect),
		cmp.Compare(seconds(a), seconds(b)),
	)
}

// seconds puts a toleration without limit before every other.
func seconds(t corev1.Toleration) float64 {
	if t.TolerationSeconds == nil {
		return math.Inf(-1)
	}
	return float64(*t.TolerationSeconds)
}
