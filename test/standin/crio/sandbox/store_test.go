// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func request(name string) *runtimeapi.RunPodSandboxRequest {
	return &runtimeapi.RunPodSandboxRequest{RuntimeHandler: "kata", Config: &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: "ns", Uid: "u-" + name, Attempt: 2},
		Labels:   map[string]string{"app": name},
	}}
}

func record(t *testing.T, id, name string, age time.Duration) sandbox.Record {
	t.Helper()
	r, err := sandbox.New(id, request(name), epoch.Add(-age))
	require.NoError(t, err)
	return r
}

func TestRecordsSurviveTheProcess(t *testing.T) {
	t.Parallel()
	dir, run := t.TempDir(), t.TempDir()
	store, err := sandbox.Open(dir, run)
	require.NoError(t, err)
	older, newer := record(t, "aa1", "a", time.Hour), record(t, "ab2", "b", 0)
	for _, r := range []sandbox.Record{newer, older} {
		require.NoError(t, os.MkdirAll(store.Bundle(r.ID), 0o700))
		require.NoError(t, store.Save(r))
	}

	again, err := sandbox.Open(dir, run)
	require.NoError(t, err)
	assert.Equal(t, []sandbox.Record{older, newer}, again.All())
	found, ok := again.Named("k8s_a_ns_u-a_2")
	assert.True(t, ok)
	assert.Equal(t, older, found)

	require.NoError(t, again.Remove(older.ID))
	assert.Equal(t, []sandbox.Record{newer}, again.All())
	assert.NoDirExists(t, filepath.Join(dir, older.ID))
	assert.NoDirExists(t, again.Bundle(older.ID))
}

func TestARebootLeavesOnlyFinishedSandboxesOfShims(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sandbox.Open(dir, t.TempDir())
	require.NoError(t, err)
	running, finished, ordinary := record(t, "aa1", "a", 0), record(t, "ab2", "b", 0), record(t, "ac3", "c", 0)
	running.Infra, finished.Infra = sandbox.InfraShim, sandbox.InfraShim
	finished.Stopped, ordinary.Stopped = true, true
	for _, r := range []sandbox.Record{running, finished, ordinary} {
		require.NoError(t, store.Save(r))
	}

	again, err := sandbox.Open(dir, t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, []sandbox.Record{finished}, again.All())
}

func TestAnIDMayBeShortenedWhileItIsUnambiguous(t *testing.T) {
	t.Parallel()
	store, err := sandbox.Open(t.TempDir(), t.TempDir())
	require.NoError(t, err)
	require.NoError(t, store.Save(record(t, "aa1", "a", 0)))
	require.NoError(t, store.Save(record(t, "ab2", "b", 0)))
	for prefix, want := range map[string]bool{"aa": true, "ab2": true, "a": false, "c": false, "": false} {
		_, ok := store.Find(prefix)
		assert.Equal(t, want, ok, "prefix %q", prefix)
	}
}

func TestAStoppedSandboxIsNotReady(t *testing.T) {
	t.Parallel()
	store, err := sandbox.Open(t.TempDir(), t.TempDir())
	require.NoError(t, err)
	r := record(t, "aa1", "a", 0)
	require.NoError(t, store.Save(r))
	r.Stopped = true
	require.NoError(t, store.Save(r))
	filter := &runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_NOTREADY}}
	listed := store.List(filter)
	require.Len(t, listed, 1)
	assert.Equal(t, runtimeapi.PodSandboxState_SANDBOX_NOTREADY, listed[0].CRI().GetState())
	assert.Equal(t, epoch.UnixNano(), listed[0].Status().GetCreatedAt())
}

func TestARequestWithoutIdentityIsRefused(t *testing.T) {
	t.Parallel()
	for _, spoil := range []func(*runtimeapi.PodSandboxMetadata){
		func(m *runtimeapi.PodSandboxMetadata) { m.Name = "" },
		func(m *runtimeapi.PodSandboxMetadata) { m.Namespace = "" },
		func(m *runtimeapi.PodSandboxMetadata) { m.Uid = "" },
	} {
		req := request("a")
		spoil(req.GetConfig().GetMetadata())
		_, err := sandbox.New("id", req, epoch)
		assert.ErrorContains(t, err, "cannot generate pod name without")
	}
}

func TestLabelsOfTheKubeletAreFilledIn(t *testing.T) {
	t.Parallel()
	r := record(t, "aa1", "a", 0)
	assert.Equal(t, map[string]string{
		"app": "a", "io.kubernetes.pod.name": "a", "io.kubernetes.pod.namespace": "ns", "io.kubernetes.pod.uid": "u-a",
	}, r.Labels)
}

func TestARecordThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "aa1", "sandbox.json")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err := sandbox.Open(dir, t.TempDir())
	assert.ErrorContains(t, err, path)
}
