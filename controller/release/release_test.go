// SPDX-License-Identifier: Apache-2.0

package release_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/payload/catalog"
)

const (
	openshift  = "format: 1\npayloads:\n- {image: '" + PayloadA + "', openshift: '>=4.17, <4.20'}\n- {image: '" + PayloadB + "', openshift: '~4.20'}\n"
	kubernetes = "format: 1\npayloads:\n- {image: '" + PayloadA + "', kubernetes: '<1.33'}\n- {image: '" + PayloadB + "', kubernetes: '>=1.33'}\n"
)

func of(t *testing.T, document string, desired release.Desired, n facts.Node) facts.Release {
	t.Helper()
	c, err := catalog.Parse([]byte(document))
	require.NoError(t, err)
	return release.Resolve(c, desired, []facts.Node{n})[0].Release
}

func TestEachNodeGetsWhatIsForItsOwnVersion(t *testing.T) {
	t.Parallel()
	to := func(version string) release.Desired { return release.Desired{Known: true, Version: version} }
	for name, x := range map[string]struct {
		document string
		desired  release.Desired
		node     facts.Node
		want     facts.Release
	}{
		"its OpenShift":                    {openshift, to("4.19.3"), Worker("w", Runs("4.19", "v1.32.6")), facts.Release{Payload: PayloadA}},
		"ahead of its cluster's upgrade":   {openshift, to("4.20.0-rc.1"), Worker("w", Runs("4.19", "v1.32.6")), facts.Release{Payload: PayloadA, Prefetch: PayloadB}},
		"after it":                         {openshift, to("4.20.0"), Worker("w", Runs("4.20", "v1.33.5")), facts.Release{Payload: PayloadB}},
		"nothing for the next version":     {openshift, to("4.21.0"), Worker("w", Runs("4.20", "v1.33.5")), facts.Release{Payload: PayloadB}},
		"nothing for its own":              {openshift, to("4.20.0"), Worker("w", Runs("4.16", "v1.29.1")), facts.Release{Problem: "no entry of the catalogue is for OpenShift 4.16 on amd64, RHEL 9: it has >=4.17, <4.20; ~4.20", Prefetch: PayloadB}},
		"its Kubernetes":                   {kubernetes, to(""), Worker("w", Runs("", "v1.33.5")), facts.Release{Payload: PayloadB}},
		"no Kubernetes follows a version":  {kubernetes, to("4.20.0"), Worker("w", Runs("4.19", "v1.32.6")), facts.Release{Payload: PayloadA}},
		"what is fetched stays, not known": {openshift, release.Desired{}, Worker("w", Runs("4.19", "v1.32.6"), Wanted(Config("c")), Prefetches(PayloadB)), facts.Release{Payload: PayloadA, Prefetch: PayloadB}},
		"what it has is not fetched":       {openshift, release.Desired{}, Worker("w", Runs("4.20", "v1.33.5"), Wanted(Config("c")), Prefetches(PayloadB)), facts.Release{Payload: PayloadB}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, x.want, of(t, x.document, x.desired, x.node))
		})
	}
}

func TestWithoutACatalogueNodesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	nodes := []facts.Node{Worker("w", Runs("4.20", "v1.33.5"))}
	assert.Equal(t, nodes, release.Resolve(nil, release.Desired{Known: true, Version: "4.21.0"}, nodes))
}

func TestNewer(t *testing.T) {
	t.Parallel()
	runs := func(openshift, kubernetes string) facts.Runs { return Worker("w", Runs(openshift, kubernetes)).Runs }
	ordered := []facts.Runs{runs("", ""), runs("", "unknown"), runs("", "v1.9.9"), runs("", "v1.33.5"), runs("4.9", "v1.22.0"), runs("4.20", "v1.33.5"), runs("4.20", "v1.33.10"), runs("5.0", "v1.33.5")}
	for i, older := range ordered {
		assert.Zero(t, release.Newer(older, older))
		for _, newer := range ordered[i+1:] {
			assert.Negative(t, release.Newer(older, newer), "%v %v", older, newer)
			assert.Positive(t, release.Newer(newer, older), "%v %v", older, newer)
		}
	}
}
