// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestAMountHasItsOriginBeforeItIsThere(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	b.CrashAt = b.Changes + 1
	require.ErrorIs(t, b.runner().Run(t.Context(), s, f), hosttest.ErrCrash)
	assert.Empty(t, b.Mounts)
	assert.FileExists(t, filepath.Join(b.Root, host.SlotDir(s.Slot), "origin.json"))
}

func TestAnImageWithoutItsLayersIsDiscarded(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	require.NoError(t, os.RemoveAll(filepath.Join(b.Root, host.StoreDir)))
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "mounting payload ")
	assert.Empty(t, b.Images)
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestWhatIsNotTheManifestsIsDiscardedAndPulledAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, content, says string }{
		"a changed file":   {hosttest.ShimFile, "#!/bin/true onf", "usr/bin/containerd-shim-kata-v2: sha256 is "},
		"a shorter file":   {hosttest.ConfigFile, "", hosttest.ConfigFile},
		"a file too many":  {"usr/bin/extra", "x", "usr/bin/extra"},
		"another manifest": {manifest.Path, "{}", manifest.Path + ": sha256 is "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			damaged := one()
			damaged.Damage = map[string]string{c.file: c.content}
			b.Registry[one().Reference()] = damaged
			b.want(t, installing(one()))
			s, f := b.until(t, plan.Verify)
			err := b.runner().Run(t.Context(), s, f)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "is damaged, discarded and pulled again")
			assert.Empty(t, b.Images)
			assert.Empty(t, b.Mounts)
			assert.NoDirExists(t, filepath.Join(b.Root, host.SlotDir(s.Slot)))

			b.Registry[one().Reference()] = one()
			_, last := b.settle(t)
			assert.Equal(t, node.PhaseInstalled, last.Phase)
		})
	}
}

func TestMarksEndWithTheirMount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	serving := b.look(t).Slots.Current
	require.NoError(t, b.Host().Mounts.Unmount(host.PayloadDir(serving)))

	f := b.look(t)
	_, serves := f.Serving()
	assert.False(t, serves)
	assert.Equal(t, plan.Step{Kind: plan.PointCurrent, Slot: plan.Pending}, plan.For(f).Next()[0], "no link leads to what is not mounted")
	done, last := b.settle(t)
	assert.Equal(t, []plan.Kind{
		plan.PointCurrent, plan.PointProof, plan.Mount, plan.Verify, plan.PointCurrent, plan.PointProof, plan.Prove,
	}, done, "and its files are compared again before they are served")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestAPassingErrorDiscardsNothing(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	r := b.runner()
	r.Host.Images = failing{r.Host.Images}
	require.ErrorIs(t, r.Run(t.Context(), s, f), unix.ENOSPC)
	assert.Len(t, b.Images, 1)
}

func TestAMountThatTheKernelRefusesDiscardsNoWholeImage(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	r := b.runner()
	r.Host.Mounts = cut{r.Host.Mounts}
	require.ErrorIs(t, r.Run(t.Context(), s, f), unix.ENOENT)
	assert.Len(t, b.Images, 1, "each layer is there")
}

func TestAStoreThatCannotBeReadIsMountedFrom(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Mount)
	r := b.runner()
	r.Host.Images = shut{r.Host.Images}
	require.NoError(t, r.Run(t.Context(), s, f))
	require.NoError(t, r.Run(t.Context(), plan.Step{Kind: plan.Verify, Payload: s.Payload, Slot: s.Slot}, f))
	s.Payload = "r.example/p@sha256:none"
	assert.ErrorIs(t, r.Run(t.Context(), s, f), unix.ENOSPC)
}

// shut is a store that cannot be opened, and knows its images all the same.
type shut struct{ host.Images }

func (s shut) List(ctx context.Context) ([]host.Image, error) {
	images, err := s.Images.List(ctx)
	return images, errors.Join(err, unix.ENOSPC)
}

// cut is a kernel that has cut a long list of layers and finds no file of the last name.
type cut struct{ host.Mounts }

func (cut) Overlay([]string, string) error { return unix.ENOENT }

// failing is a store on a full disk.
type failing struct{ host.Images }

func (failing) Layers(context.Context, string) ([]string, error) {
	return nil, fmt.Errorf("looking up layer: %w", unix.ENOSPC)
}

func TestAManifestThatIsNoFileIsRefusedAndNotFollowed(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(file string) error{
		"a FIFO":     func(file string) error { return unix.Mkfifo(file, 0o644) },
		"a link out": func(file string) error { return os.Symlink("/proc/version", file) },
		"a sparse gigabyte": func(file string) error {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(file, 1<<30)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s, f := stopped(t, plan.Verify)
			file := filepath.Join(b.Root, host.PayloadDir(s.Slot), manifest.Path)
			require.NoError(t, os.Remove(file))
			require.NoError(t, replace(file))
			require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "is damaged, discarded and pulled again")
			assert.Empty(t, b.Images)
		})
	}
}
