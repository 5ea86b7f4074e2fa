// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/manifest"
)

// updatedFrom is a machine that has served a payload, and serves the other one now.
func updatedFrom(t *testing.T, former, now hosttest.Payload) *bench {
	t.Helper()
	b := newBench(t)
	b.Registry[former.Reference()], b.Registry[now.Reference()] = former, now
	for _, p := range []hosttest.Payload{former, now} {
		b.want(t, installing(p))
		_, last := b.settle(t)
		require.Equal(t, node.PhaseInstalled, last.Phase, "waits for %q", last.Wait)
	}
	return b
}

// back names the former payload again.
func (b *bench) back(t *testing.T, former hosttest.Payload) []plan.Kind {
	t.Helper()
	b.want(t, installing(former))
	done, last := b.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase, "waits for %q", last.Wait)
	assert.Equal(t, former.Version, b.served(t))
	return done
}

// served is the version of what current leads to.
func (b *bench) served(t *testing.T) string {
	t.Helper()
	slot, serving := b.look(t).Serving()
	require.True(t, serving)
	return slot.Release
}

// stored is where a file of a payload lies in the store.
func (b *bench) stored(p hosttest.Payload, file string) string {
	return filepath.Join(b.Root, host.StoreDir, p.Platform()[len("sha256:"):], file)
}

func TestAFormerPayloadIsServedAgainByWhatWasFoundOutAboutIt(t *testing.T) {
	t.Parallel()
	b := updatedFrom(t, one(), two())
	done := b.back(t, one())
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Resume, plan.Record, plan.PointCurrent, plan.PointProof, plan.VerifyAgain}, done[:6])
	assert.NotContains(t, done, plan.Prove)
	done = b.back(t, two())
	assert.Contains(t, done, plan.Resume, "also where the host makes its guest")
	assert.NotContains(t, done, plan.Prove)
	assert.NotContains(t, done, plan.BuildGuest)
}

func TestAFormerPayloadWhoseFilesWereWrittenToIsVerified(t *testing.T) {
	t.Parallel()
	b := updatedFrom(t, one(), two())
	require.NoError(t, os.WriteFile(b.stored(one(), hosttest.ShimFile), []byte("#!/bin/true onf"), 0o600))
	b.want(t, installing(one()))
	s, f := b.until(t, plan.Verify)
	assert.NotEqual(t, s.Slot, f.Slots.Current)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "is damaged, discarded and pulled again")
	done := b.back(t, one())
	assert.Contains(t, done, plan.Pull)
	assert.Contains(t, done, plan.Prove)
}

// A disk that returns other bytes than were written leaves a file's times alone.
func TestAFormerPayloadThatADiskHasDamagedIsFoundWhileItServes(t *testing.T) {
	t.Parallel()
	b := updatedFrom(t, one(), two())
	file := b.stored(one(), hosttest.ShimFile)
	was, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/true onf"), 0o600))
	require.NoError(t, os.Chtimes(file, time.Time{}, was.ModTime()))
	done, tidied := b.back(t, one()), []plan.Kind{plan.KeepFindings, plan.DropFindings, plan.Unmount, plan.DeleteGuest}
	assert.Equal(t, []plan.Kind{
		plan.Keep, plan.Resume, plan.Record, plan.PointCurrent, plan.PointProof, // VerifyAgain and Verify fail.
		plan.PointCurrent, plan.PointProof, plan.Pull, plan.Mount, plan.Verify, plan.Configure,
	}, slices.DeleteFunc(slices.Clone(done), func(k plan.Kind) bool { return slices.Contains(tidied, k) })[:11])
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, one().Shim, string(content))
	assert.Contains(t, done, plan.Prove)
}

func TestAFormerPayloadIsProvedAgainOnAnotherHost(t *testing.T) {
	t.Parallel()
	const qemu, database = "/usr/bin/qemu-system-x86_64", "/var/lib/rpm/rpmdb.sqlite"
	former := one()
	former.Requires = manifest.Requires{QEMU: true}
	for name, change := range map[string]func(t *testing.T, b *bench){
		"the host's QEMU is another one": func(t *testing.T, b *bench) {
			t.Helper()
			require.NoError(t, os.Rename(b.Files.Path(qemu), b.Files.Path(qemu+".old")))
			require.NoError(t, b.Files.Write(qemu, nil, 0o755))
		},
		"packages were installed": func(t *testing.T, b *bench) {
			t.Helper()
			require.NoError(t, b.Files.Write(database, []byte("another"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			require.NoError(t, b.Files.Write(qemu, nil, 0o755))
			require.NoError(t, b.Files.Write(database, nil, 0o644))
			b.Registry[former.Reference()] = former
			for _, p := range []hosttest.Payload{former, two()} {
				b.want(t, installing(p))
				b.settle(t)
			}
			change(t, b)
			done := b.back(t, former)
			assert.Equal(t, []plan.Kind{plan.Keep, plan.Resume, plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent}, done[:6])
			assert.NotContains(t, done, plan.Verify)
		})
	}
}

func TestARemovalForgetsWhatWasFoundOut(t *testing.T) {
	t.Parallel()
	b := updatedFrom(t, one(), two())
	assert.DirExists(t, b.Files.Path(host.FindingsDir))
	b.want(t, node.Intent{State: node.StateAbsent})
	b.settle(t)
	assert.NoDirExists(t, b.Files.Path(host.FindingsDir))
}
