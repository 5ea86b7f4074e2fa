// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestCRIOMayReadItsConfigurationElsewhere(t *testing.T) {
	t.Parallel()
	m := machine(t)
	ours, err := handlers.DropIn()
	require.NoError(t, err)
	const foreign = "[crio.runtime.runtimes.kata-oc]\nruntime_path = '/usr/bin/crun'\n"
	put(t, m, map[string]string{host.DropIn: string(ours), host.CRIOConfigDir + "/99-other": foreign, "/srv/crio.d/10-other": foreign})
	m.Options, m.Environment = []string{"--config", "/srv/crio.conf"}, []string{"CONTAINER_CONFIG_DIR=/srv/crio.d"}
	f := look(t, m, cluster.State{})
	assert.Equal(t, []plan.Conflict{{File: "/srv/crio.d/10-other", Key: "crio.runtime.runtimes.kata-oc"}}, f.Runtime.Conflicts)
	assert.Contains(t, f.Runtime.Refused, "/srv/crio.conf: ", "CRI-O does not start without a file that an option names")
	assert.Equal(t, plan.DropIn{Exists: true, Right: true, Hidden: "/srv/crio.d"}, f.Runtime.DropIn)

	m.Options, m.Environment = []string{"-d", ""}, nil
	assert.Equal(t, "no directory", look(t, m, cluster.State{}).Runtime.DropIn.Hidden)
}

func TestAnotherNameOfTheUsualDirectoryHidesNothing(t *testing.T) {
	t.Parallel()
	m := machine(t)
	ours, err := handlers.DropIn()
	require.NoError(t, err)
	put(t, m, map[string]string{host.DropIn: string(ours)})
	require.NoError(t, os.Symlink(filepath.Join(m.Root, host.CRIOConfigDir), filepath.Join(m.Root, "conf.d")))
	m.Options = []string{"--config-dir=/conf.d"}
	f := look(t, m, cluster.State{})
	assert.Empty(t, f.Runtime.Conflicts)
	assert.Equal(t, plan.DropIn{Exists: true, Right: true}, f.Runtime.DropIn)
}

func TestACRIOThatDoesNotComeBackIsQuoted(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Words = map[string]string{"c2": "level=fatal msg=\"no pause\"\nbye\n"}
	m.CRIO = host.Unit{ActiveState: "failed", Invocation: "c2"}
	assert.Empty(t, look(t, m, cluster.State{}).Runtime.Words, "no restart was noted")
	require.NoError(t, record.Restarted{Intent: "i1", Invocation: "c1"}.Save(m.Files))
	require.NoError(t, record.Lacks{Invocation: "c1"}.Save(m.Files))
	assert.Equal(t, `level=fatal msg="no pause"; bye`, look(t, m, cluster.State{}).Runtime.Words)
	m.CRIO = host.Unit{ActiveState: "activating", Invocation: "c3", MainPID: 7}
	m.Words["c3"] = "level=info msg=starting\n"
	assert.Equal(t, `level=fatal msg="no pause"; bye`, look(t, m, cluster.State{}).Runtime.Words, "a start that has not ended says nothing of its end")
}

func TestTheEndsOfCRIOAreReadWhereItsUnitCountsSome(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Fatal, m.Words = "panic: nil pointer\n", map[string]string{"c1": "no space"}
	assert.Empty(t, look(t, m, cluster.State{}).Runtime.Crashes, "it has never ended")
	m.CRIO.Restarts, m.CRIO.Since = 3, time.Now().Add(-time.Minute)
	assert.Equal(t, plan.Crashes{Restarts: 3, Fatal: "panic: nil pointer"}, look(t, m, cluster.State{}).Runtime.Crashes)
	assert.Empty(t, look(t, m, cluster.State{}).Runtime.Words)
	m.Fatal = ""
	assert.Equal(t, "no space", look(t, m, cluster.State{}).Runtime.Words)
	m.CRIO.Since = time.Now().Add(-time.Hour)
	assert.Empty(t, look(t, m, cluster.State{}).Runtime.Crashes, "it runs for long since")
	m.CRIO = host.Unit{ActiveState: "failed", Invocation: "c2", GivenUp: true}
	assert.Equal(t, plan.Crashes{GivenUp: true}, look(t, m, cluster.State{}).Runtime.Crashes)
}
