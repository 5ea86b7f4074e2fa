// SPDX-License-Identifier: Apache-2.0

package controller //nolint:testpackage // what is remembered between passes has no other way in

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/payload/catalog"
)

const goodCatalogue = "format: 1\npayloads:\n- {image: 'registry.example.com/kata/payload@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', openshift: '>=4.17'}\n"

func configMap(version, key, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "payloads", Namespace: "kata-node", ResourceVersion: version}, Data: map[string]string{key: text}}
}

func TestABadCatalogueLeavesTheLastGoodOneInForce(t *testing.T) {
	t.Parallel()
	c := catalogue{source: CatalogSource{"kata-node", "payloads"}}
	c.read(configMap("1", CatalogKey, "format: 2"))
	assert.Nil(t, c.good)
	assert.Equal(t, `ConfigMap "kata-node/payloads" has no catalogue that can be used, nothing is started: reading catalogue: format is 2: this program reads 1`, c.problem)

	c.read(configMap("2", CatalogKey, goodCatalogue))
	require.NotNil(t, c.good)
	assert.Empty(t, c.problem)
	good := c.good

	c.read(configMap("3", "catalogue", goodCatalogue))
	assert.Same(t, good, c.good)
	assert.Equal(t, `ConfigMap "kata-node/payloads" has no catalogue that can be used, the last good one stays in force: it has no key catalog.yaml`, c.problem)
	c.read(configMap("3", CatalogKey, "not read again"))
	assert.Contains(t, c.problem, "no key")

	c.read(nil)
	assert.Nil(t, c.good, "a catalogue that was deleted is not in force")
	assert.Empty(t, c.problem)
}

func TestACatalogueThatIsTooLongIsNotCached(t *testing.T) {
	t.Parallel()
	long := configMap("1", CatalogKey, goodCatalogue+string(make([]byte, 2*catalog.MaxBytes)))
	long.Data["other"] = "x"
	trimmed, err := trimCatalog(long)
	require.NoError(t, err)
	m, ok := trimmed.(*corev1.ConfigMap)
	require.True(t, ok)
	assert.Len(t, m.Data, 1)
	c := catalogue{}
	c.read(m)
	assert.Contains(t, c.problem, "65537 bytes are more than 65536")
}
