// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/settings"
)

// files is a file system as a map of path to content.
type files map[string]string

func (f files) Read(file string) ([]byte, error) {
	content, ok := f[file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(content), nil
}

func (f files) List(dir string) ([]string, error) {
	var names []string
	for file := range f {
		if path.Dir(file) == dir {
			names = append(names, path.Base(file))
		}
	}
	slices.Sort(names)
	return names, nil
}

func TestWithoutFragmentsTheDefaultsHold(t *testing.T) {
	t.Parallel()
	s, err := settings.Load(files{})
	require.NoError(t, err)
	assert.Equal(t, settings.Default(), s)
	assert.Equal(t, "crio.service", s.CRIOUnit)
}

func TestFragmentsOverrideInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files files
		unit  string
	}{
		"vendor over default":      {files{"/usr/lib/kata-agent/a.toml": "crio_unit = 'v'"}, "v"},
		"run over vendor":          {files{"/usr/lib/kata-agent/z.toml": "crio_unit = 'v'", "/run/kata-agent/settings.d/a.toml": "crio_unit = 'r'"}, "r"},
		"administrator over run":   {files{"/etc/kata-agent/a.toml": "crio_unit = 'e'", "/run/kata-agent/settings.d/z.toml": "crio_unit = 'r'"}, "e"},
		"later name over earlier":  {files{"/etc/kata-agent/20.toml": "crio_unit = '2'", "/etc/kata-agent/10.toml": "crio_unit = '1'"}, "2"},
		"other files are ignored":  {files{"/etc/kata-agent/a.toml.bak": "crio_unit = 'x'", "/etc/kata-agent/config.d": "no = 'file'"}, "crio.service"},
		"the same name masks none": {files{"/usr/lib/kata-agent/a.toml": "crio_unit = 'v'", "/etc/kata-agent/a.toml": "pull_secret = '/p'"}, "v"},
	} {
		s, err := settings.Load(c.files)
		require.NoError(t, err, name)
		assert.Equal(t, c.unit, s.CRIOUnit, name)
		assert.Equal(t, settings.Default().CRISocket, s.CRISocket, "%s: what no fragment names stays", name)
	}
}

func TestEverySettingHasItsKey(t *testing.T) {
	t.Parallel()
	s, err := settings.Load(files{"/etc/kata-agent/a.toml": `
kubeconfig = "k"
pull_secret = "p"
signature_policy = "y"
cri_socket = "s"
crio_unit = "u"
selinux_context = "x"
allowed_payloads = ["registry.example.com/kata"]
guest_kernel = "payload"
allow_layering = true
proof_timeout = "5m"
metrics_address = "127.0.0.1:9464"
intent_file = "/i"
pull_bandwidth = 10_000_000
arm = true
`})
	require.NoError(t, err)
	assert.Equal(t, settings.Settings{
		Kubeconfig: "k", PullSecret: "p", SignaturePolicy: "y", CRISocket: "s", CRIOUnit: "u", SELinuxContext: "x",
		AllowedPayloads: []string{"registry.example.com/kata"}, GuestKernel: settings.PayloadKernel, AllowLayering: true,
		ProofTimeout: settings.Duration{Duration: 5 * time.Minute}, MetricsAddress: "127.0.0.1:9464", IntentFile: "/i",
		PullBandwidth: 10_000_000, Arm: true,
	}, s)
}

func TestMisspeltSettingIsNamedWithItsFile(t *testing.T) {
	t.Parallel()
	for content, says := range map[string]string{
		"crio_units = 'x'":      `reading settings /etc/kata-agent/a.toml: line 1: unknown key "crio_units"`,
		"[crio]\nunit = 1":      `reading settings /etc/kata-agent/a.toml: line 1: unknown key "crio"`,
		"crio_unit = ":          "reading settings /etc/kata-agent/a.toml: ",
		"guest_kernel = 'mine'": `reading settings /etc/kata-agent/a.toml: guest_kernel is "mine", must be "host" or "payload"`,
		"crio_unit = 5":         "reading settings /etc/kata-agent/a.toml: ",
		"intent_file = 'i'":     `reading settings /etc/kata-agent/a.toml: intent_file is "i", must be an absolute path`,
		"metrics_address = '1'": `reading settings /etc/kata-agent/a.toml: metrics_address is "1", must be like "127.0.0.1:9464": `,
		"proof_timeout = 300":   `reading settings /etc/kata-agent/a.toml: "300" is no time span: write it as "2m30s"`,
		"proof_timeout = '3 m'": `reading settings /etc/kata-agent/a.toml: line 1, column 17: toml: "3 m" is no time span: write it as "2m30s"`,
		"proof_timeout = '9s'":  "reading settings /etc/kata-agent/a.toml: proof_timeout is 9s, must be from 10s to 1h0m0s",
		"pull_bandwidth = 1000": "reading settings /etc/kata-agent/a.toml: pull_bandwidth is 1000 bytes per second, must be 0, which is no limit, or at least 65536",
		"pull_bandwidth = -1":   "reading settings /etc/kata-agent/a.toml: pull_bandwidth is -1 bytes per second",
		"proof_timeout = '61m'": "reading settings /etc/kata-agent/a.toml: proof_timeout is 1h1m0s, must be from 10s to 1h0m0s",
	} {
		_, err := settings.Load(files{"/etc/kata-agent/a.toml": content})
		assert.ErrorContains(t, err, says, content)
	}
}

// broken is a disk that reads nothing.
type broken struct{ files }

func (broken) Read(string) ([]byte, error) { return nil, errors.New("input/output error") }

func TestUnreadableSettingsAreAnError(t *testing.T) {
	t.Parallel()
	_, err := settings.Load(broken{files{"/etc/kata-agent/a.toml": ""}})
	assert.ErrorContains(t, err, "reading settings: input/output error")
}

func TestASocketIsAPathOrAURL(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"/run/other.sock", "unix:///run/other.sock"} {
		s, err := settings.Load(files{"/etc/kata-agent/a.toml": "cri_socket = '" + text + "'"})
		require.NoError(t, err)
		assert.Equal(t, "/run/other.sock", s.CRISocket)
	}
}

func TestAllowedPayloadsAreAListThatMayBeEmpty(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, "allowed_payloads = []": {}, "allowed_payloads = ['registry.example/kata/']": {"registry.example/kata/"},
	} {
		s, err := settings.Load(files{"/etc/kata-agent/a.toml": text})
		require.NoError(t, err)
		assert.Equal(t, want, s.AllowedPayloads, text)
	}
	s, err := settings.Load(files{"/etc/kata-agent/10.toml": "allowed_payloads = ['a.example/']", "/etc/kata-agent/50.toml": "allowed_payloads = ['b.example/']"})
	require.NoError(t, err)
	assert.Equal(t, []string{"b.example/"}, s.AllowedPayloads, "the later list replaces the earlier one")
}

// A kubelet waits for a request to its runtime for two minutes unless its configuration says
// otherwise, CRI-O for a container for four: a proof that takes longer would pass where no pod
// starts.
func TestAProofEndsBeforeAKubeletWouldHaveGivenUp(t *testing.T) {
	t.Parallel()
	assert.Less(t, settings.Default().ProofTimeout.Duration, 2*time.Minute)
}
