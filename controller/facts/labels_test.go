// SPDX-License-Identifier: Apache-2.0

package facts_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kata-node/kata-node/controller/facts"
)

// Labels say what the map says that they were made from, to selectors too.
func TestLabelsAreThoseOfTheNode(t *testing.T) {
	t.Parallel()
	for _, set := range []map[string]string{
		nil,
		{"a": "b"},
		{"a": ""},
		{corev1.LabelHostname: "host"},
		{corev1.LabelHostname: ""},
		{corev1.LabelHostname: "host", "a": "b", "c": ""},
	} {
		of := facts.LabelsOf(maps.Clone(set))
		got := maps.Collect(of.All())
		assert.Len(t, got, len(set))
		for _, key := range []string{"a", "c", "x", corev1.LabelHostname} {
			want, found := set[key]
			value, has := of.Lookup(key)
			assert.Equal(t, want, value, key)
			assert.Equal(t, found, has, key)
			assert.Equal(t, found, of.Has(key), key)
			assert.Equal(t, want, of.Get(key), key)
			assert.Equal(t, want, got[key], key)
			for _, requirement := range []string{key, "!" + key, key + "=b", key + " in (host, b)", key + " notin (host)"} {
				selector, err := labels.Parse(requirement)
				require.NoError(t, err)
				assert.Equal(t, selector.Matches(labels.Set(set)), selector.Matches(of), "%s, %v", requirement, set)
			}
		}
		assert.Equal(t, facts.LabelsOf(maps.Clone(set)), of)
	}
}
