// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/images"
)

func TestTheSameProgramsGiveTheSameImages(t *testing.T) {
	t.Parallel()
	workspace, err := bed.FindWorkspace()
	require.NoError(t, err)
	programs, err := workspace.Build(t.Context(), os.Stderr, bed.BuildOptions{Only: []string{"pause", "agnhost"}})
	require.NoError(t, err)
	first, err := programs.Images(t.Context())
	require.NoError(t, err)
	second, err := programs.Images(t.Context())
	require.NoError(t, err)
	assert.Len(t, first, 3)
	for named, image := range first {
		require.NoError(t, validate.Image(image, validate.Fast), named)
		a, err := image.Digest()
		require.NoError(t, err)
		b, err := second[named].Digest()
		require.NoError(t, err)
		assert.Equal(t, a, b, named)
	}
}

func TestAProgramThatNeedsALinkerIsRefused(t *testing.T) {
	t.Parallel()
	program, err := filepath.EvalSymlinks("/bin/ls")
	require.NoError(t, err)
	_, err = images.Build(t.Context(), images.Programs{Pause: program})
	assert.ErrorContains(t, err, "building registry.kata.test/kata/pause:test: program "+program+" is not static")
}
