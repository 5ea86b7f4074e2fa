// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"
)

const hostSpec = `{"ociVersion":"1.3.0","root":{"path":"rootfs"},"process":{"cwd":"/","args":["/pause"],"oomScoreAdj":-998,"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1024}]}}`

func TestTheGuestsBundleIsACopyWithoutWhatBelongsToTheHost(t *testing.T) {
	t.Parallel()
	host := t.TempDir()
	guest := filepath.Join(host, "guest")
	require.NoError(t, os.WriteFile(filepath.Join(host, specFile), []byte(hostSpec), 0o600))
	require.NoError(t, writeGuestBundle(guest, host))

	var spec specs.Spec
	data, err := os.ReadFile(filepath.Join(guest, specFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &spec))
	assert.Equal(t, filepath.Join(host, "rootfs"), spec.Root.Path)
	assert.Equal(t, &specs.Process{Cwd: "/", Args: []string{"/pause"}}, spec.Process)

	data, err = os.ReadFile(filepath.Join(host, specFile))
	require.NoError(t, err)
	assert.JSONEq(t, hostSpec, string(data))
}

func TestAnAbsoluteRootStays(t *testing.T) {
	t.Parallel()
	spec := specs.Spec{Root: &specs.Root{Path: "/merged"}}
	assert.Equal(t, spec, guestSpec(spec, "/bundle", nil))
}

func TestACgroupIsNeverBelowTheShims(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"":                      "",
		"crio-1":                "/crio-1",
		"/kubepods/podx/crio-1": "/kubepods/podx/crio-1",
		"podx.slice:crio:1":     "podx.slice:crio:1",
	} {
		assert.Equal(t, want, guestSpec(specs.Spec{Linux: &specs.Linux{CgroupsPath: path}}, "/bundle", nil).Linux.CgroupsPath)
	}
}

func TestABundleThatCannotBeCopiedIsNamed(t *testing.T) {
	t.Parallel()
	host := t.TempDir()
	require.ErrorContains(t, writeGuestBundle(filepath.Join(host, "guest"), host), host)
	require.NoError(t, os.WriteFile(filepath.Join(host, specFile), []byte("{"), 0o600))
	assert.ErrorContains(t, writeGuestBundle(filepath.Join(host, "guest"), host), "decoding bundle "+host)
}

func TestAnExecutedProcessHasNoLimitsOfTheHost(t *testing.T) {
	t.Parallel()
	changed, err := guestExec(&anypb.Any{TypeUrl: "x", Value: []byte(`{"cwd":"/","args":["sh"],"oomScoreAdj":1,"rlimits":[{"type":"RLIMIT_CORE","hard":1,"soft":1}]}`)})
	require.NoError(t, err)
	assert.Equal(t, "x", changed.GetTypeUrl())
	var process specs.Process
	require.NoError(t, json.Unmarshal(changed.GetValue(), &process))
	assert.Equal(t, specs.Process{Cwd: "/", Args: []string{"sh"}}, process)
	_, err = guestExec(&anypb.Any{Value: []byte("{")})
	assert.ErrorContains(t, err, "decoding process to execute")
}
