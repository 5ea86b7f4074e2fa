// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
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

func TestOurDropInIsNoConflictBehindALink(t *testing.T) {
	t.Parallel()
	ours, err := handlers.DropIn()
	require.NoError(t, err)
	for file, conflicts := range map[string]int{"/other.d/60-kata-agent.conf": 0, "/other.d/70-copy.conf": 2} {
		assert.Len(t, handlers.Judge([]handlers.File{{Path: file, Content: ours}}, handlers.Options{}).Conflicts, conflicts, file)
	}
}
