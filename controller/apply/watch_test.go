// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/apply"
)

func stored(spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kataconfiguration.openshift.io/v1", "kind": "KataConfig",
		"metadata": map[string]any{"name": "k", "uid": "u", "generation": int64(3), "finalizers": []any{"f"}},
		"spec":     spec,
	}}
}

func TestAnObjectThatCannotBeDecodedIsNamedAlone(t *testing.T) {
	t.Parallel()
	for field, spec := range map[string]map[string]any{
		"spec.config.maxUnavailable":        {"config": map[string]any{"maxUnavailable": int64(1) << 40}},
		"spec.config.overhead.podFixed.cpu": {"config": map[string]any{"overhead": map[string]any{"podFixed": map[string]any{"cpu": "1e1.5"}}}},
		"spec.config":                       {"config": "none"},
	} {
		var named *apply.Unreadable
		got := apply.Decode(stored(spec), func(u *apply.Unreadable) { named = u })
		require.Same(t, named, got, field)
		assert.Equal(t, "k", named.Name)
		assert.Equal(t, []string{"f"}, named.Finalizers)
		require.ErrorContains(t, named.Problem, field+": ")
	}
	got := apply.Decode(stored(map[string]any{"config": map[string]any{"paused": true}}), nil)
	kc, ok := got.(*v1.KataConfig)
	require.True(t, ok)
	assert.True(t, kc.Spec.Config.Paused)
}
