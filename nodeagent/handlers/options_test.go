// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestWhereCRIOReadsItsConfiguration(t *testing.T) {
	t.Parallel()
	usual := handlers.Options{File: host.CRIOConfig, Dir: host.CRIOConfigDir}
	for name, c := range map[string]struct {
		process host.Process
		want    handlers.Options
	}{
		"a process that is not known":   {host.Process{}, usual},
		"no options":                    {host.Process{Args: []string{"crio", "--log-level", "info"}}, usual},
		"a variable without a value":    {host.Process{Environment: []string{"CONTAINER_CONFIG_DIR="}}, usual},
		"options":                       {host.Process{Args: []string{"crio", "--config=/a", "--config-dir", "/b"}}, handlers.Options{File: "/a", Named: true, Dir: "/b"}},
		"short options, the last one":   {host.Process{Args: []string{"crio", "-c", "/a", "-c", "/c", "-d=b"}}, handlers.Options{File: "/c", Named: true, Dir: "/b"}},
		"neither file nor directory":    {host.Process{Args: []string{"crio", "-c", "", "-d", ""}}, handlers.Options{Named: true}},
		"variables":                     {host.Process{Environment: []string{"CONTAINER_CONFIG=/a", "CONTAINER_CONFIG_DIR=/b"}}, handlers.Options{File: "/a", Named: true, Dir: "/b"}},
		"an option counts before those": {host.Process{Args: []string{"crio", "-d", "/c"}, Environment: []string{"CONTAINER_CONFIG_DIR=/b"}}, handlers.Options{File: host.CRIOConfig, Dir: "/c"}},
	} {
		assert.Equal(t, c.want, handlers.OptionsOf(c.process), name)
	}
}

func TestWhatOptionsSayAboutOurHandlers(t *testing.T) {
	t.Parallel()
	const where = "the command line or environment of CRI-O"
	for name, c := range map[string]struct {
		process host.Process
		want    []handlers.Conflict
	}{
		"nothing": {host.Process{Args: []string{"crio", "--runtimes", "crun:/usr/bin/crun:/run/crun", "--default-runtime=crun"}}, nil},
		"a handler of ours, among others": {
			host.Process{Args: []string{"crio", "--runtimes=crun:/c:/r,kata-oc:/x:/y"}},
			[]handlers.Conflict{{File: where, Key: "--runtimes kata-oc"}},
		},
		"the default runtime, in a variable": {
			host.Process{Environment: []string{"CONTAINER_DEFAULT_RUNTIME=kata-oc"}},
			[]handlers.Conflict{{File: where, Key: "--default-runtime", Default: true}},
		},
	} {
		assert.Equal(t, c.want, handlers.Judge(nil, handlers.OptionsOf(c.process)).Conflicts, name)
	}
}

// formerDropIn is what agents wrote that knew no further handlers.
const formerDropIn = `
[crio.runtime.runtimes.kata-oc]
runtime_path = '/run/kata-agent/current/kata-oc/containerd-shim-kata-v2'
runtime_type = 'vm'
runtime_root = '/run/vc'
runtime_config_path = '/run/kata-agent/current/kata-oc/configuration.toml'
privileged_without_host_devices = true
[crio.runtime.runtimes.kata-oc-proof]
runtime_path = '/run/kata-agent/proof/kata-oc-proof/containerd-shim-kata-v2'
runtime_type = 'vm'
runtime_root = '/run/vc'
runtime_config_path = '/run/kata-agent/proof/kata-oc-proof/configuration.toml'
privileged_without_host_devices = true
`

func TestOurDropInIsNoConflictBehindALink(t *testing.T) {
	t.Parallel()
	ours, err := handlers.DropIn()
	require.NoError(t, err)
	for file, conflicts := range map[string]int{"/other.d/60-kata-agent.conf": 0, "/other.d/70-copy.conf": 6} {
		assert.Len(t, handlers.Judge([]handlers.File{{Path: file, Content: ours}}, handlers.Options{}).Conflicts, conflicts, file)
	}
	former := handlers.File{Path: "/other.d/60-kata-agent.conf", Content: []byte(formerDropIn)}
	assert.False(t, handlers.SameDropIn(former.Content))
	assert.Empty(t, handlers.Judge([]handlers.File{former}, handlers.Options{}).Conflicts, "nor is that of an older agent")
	former.Content = []byte(strings.Replace(formerDropIn, "/current/", "/other/", 1))
	assert.NotEmpty(t, handlers.Judge([]handlers.File{former}, handlers.Options{}).Conflicts)
}
