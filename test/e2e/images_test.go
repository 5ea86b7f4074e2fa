// SPDX-License-Identifier: Apache-2.0

package e2e //nolint:testpackage // Names of images are nobody else's.

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	imageutils "k8s.io/kubernetes/test/utils/image"

	"github.com/kata-node/kata-node/test/bed/images"
)

func TestImagesOfTheTestsAreNamedAsTheTestsNameThem(t *testing.T) {
	t.Parallel()
	_, err := writeRepoList(t.TempDir())
	require.NoError(t, err)
	set, err := testImages(images.Set{images.Pause: empty.Image, images.Busybox: empty.Image, images.Agnhost: empty.Image}, "/bin/busybox")
	require.NoError(t, err)
	for _, id := range []imageutils.ImageID{imageutils.Agnhost, imageutils.BusyBox, imageutils.Pause} {
		assert.Contains(t, set, imageutils.GetE2EImage(id))
	}
	assert.Contains(t, set, "registry.kata.test/e2e/e2e-test-images/busybox:1.29-2", "critest has versions of its own")
}
