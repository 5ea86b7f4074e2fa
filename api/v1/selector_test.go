// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	v1 "github.com/kata-node/kata-node/api/v1"
)

func TestAnAbsentOrEmptySelectorMatchesEverything(t *testing.T) {
	t.Parallel()
	for _, s := range []*v1.PoolSelector{nil, {}} {
		selector, err := s.Selector()
		require.NoError(t, err)
		assert.True(t, selector.Matches(labels.Set{}))
	}
}

func TestLabelsAndExpressionsAllHaveToHold(t *testing.T) {
	t.Parallel()
	s := &v1.PoolSelector{
		MatchLabels: map[string]v1.LabelValue{"kata": "yes"},
		MatchExpressions: []v1.Requirement{
			{Key: "zone", Operator: metav1.LabelSelectorOpIn, Values: []v1.LabelValue{"a", "b"}},
			{Key: "gpu", Operator: metav1.LabelSelectorOpDoesNotExist},
		},
	}
	selector, err := s.Selector()
	require.NoError(t, err)
	assert.True(t, selector.Matches(labels.Set{"kata": "yes", "zone": "a"}))
	assert.False(t, selector.Matches(labels.Set{"kata": "yes", "zone": "c"}))
	assert.False(t, selector.Matches(labels.Set{"kata": "yes", "zone": "b", "gpu": ""}))
	assert.False(t, selector.Matches(labels.Set{"zone": "b"}))
}

func TestAnUnknownOperatorIsAnError(t *testing.T) {
	t.Parallel()
	s := &v1.PoolSelector{MatchExpressions: []v1.Requirement{{Key: "a", Operator: "Equals", Values: []v1.LabelValue{"b"}}}}
	_, err := s.Selector()
	assert.ErrorContains(t, err, "reading kataConfigPoolSelector")
}
