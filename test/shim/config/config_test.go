// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/shim/config"
)

func TestHostNetworkIsForShimsThatStayOutOfNetworking(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ main, dropIn, want string }{
		"defaults refuse it":       {main: "[agent.kata]\ndial_timeout = 45\n", want: "Host networking requested"},
		"tcfilter refuses it":      {main: "[runtime]\ninternetworking_model = \"tcfilter\"\n", want: "Host networking requested"},
		"the proof's form admits":  {main: "[runtime]\ninternetworking_model = \"none\"\ndisable_new_netns = true\n"},
		"so does a drop-in":        {main: "[runtime]\ninternetworking_model = \"none\"\n", dropIn: "[runtime]\ndisable_new_netns = true\n"},
		"half of it is an error":   {main: "[runtime]\ndisable_new_netns = true\n", want: "only works with"},
		"a broken file is named":   {main: "[runtime\n", want: "configuration.toml"},
		"and a drop-in that fails": {main: "", dropIn: "runtime = 3\n", want: "10-x.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(write(t, tc.main, tc.dropIn))
			if err == nil {
				err = c.AdmitsHostNetwork()
			}
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestDropInsLieBesideTheResolvedFile(t *testing.T) {
	t.Parallel()
	target := write(t, "", "[runtime]\ninternetworking_model = \"none\"\n")
	link := filepath.Join(t.TempDir(), "configuration.toml")
	require.NoError(t, os.Symlink(target, link))
	c, err := config.Load(link)
	require.NoError(t, err)
	assert.Equal(t, config.ModelNone, c.Runtime.InternetworkingModel)
}

func TestNoConfigurationMeansTheDefaults(t *testing.T) {
	t.Parallel()
	c, err := config.Load("")
	require.NoError(t, err)
	assert.Equal(t, "tcfilter", c.Runtime.InternetworkingModel)
	_, err = config.Load(filepath.Join(t.TempDir(), "absent.toml"))
	assert.ErrorContains(t, err, "absent.toml")
}

func TestTheTestPayloadsBaseConfigurationIsAnOrdinaryHandlers(t *testing.T) {
	t.Parallel()
	c, err := config.Load("../../payload/tree/usr/share/kata-containers/defaults/configuration.toml")
	require.NoError(t, err)
	assert.ErrorIs(t, c.AdmitsHostNetwork(), config.ErrHostNetwork)
}

func write(t *testing.T, main, dropIn string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "configuration.toml")
	require.NoError(t, os.WriteFile(path, []byte(main), 0o600))
	if dropIn != "" {
		require.NoError(t, os.Mkdir(filepath.Join(dir, "config.d"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.d", "10-x.toml"), []byte(dropIn), 0o600))
	}
	return path
}
