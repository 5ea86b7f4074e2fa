// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/catalog"
)

// Whatever the text is, reading it ends, and what is read is one that can be used: each version has
// at most one payload, and an entry more leaves the others as they are.
func FuzzParse(f *testing.F) {
	f.Add(documented, "4.20.0-rc.1", "v1.33.2+1a2b3c4")
	f.Add(entries(entry("a", "openshift: '<4.18'"), entry("b", "openshift: '^4.18'")), "4.18", "")
	f.Add("format: 1\npayloads: [*a, &a {image: x}]", "", "1")
	f.Fuzz(func(t *testing.T, text, openshift, kubernetes string) {
		c, err := catalog.Parse([]byte(text))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, c.Entries())
		if e, err := c.Resolve(catalog.Target{OpenShift: openshift, Kubernetes: kubernetes, Architecture: "amd64", RHEL: 9}); err == nil {
			require.Contains(t, c.Entries(), e)
		}
		more, err := catalog.Add([]byte(text), catalog.Entry{Image: image("f"), Kubernetes: ">=1.30", Architectures: []string{"riscv64"}, RHEL: []int{42}})
		if err != nil {
			return
		}
		grown, err := catalog.Parse(more)
		require.NoError(t, err)
		require.Equal(t, c.Entries(), grown.Entries()[:len(c.Entries())])
	})
}
