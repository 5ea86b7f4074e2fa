// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sound prints what is broken on a node at this moment. Its arguments are the process of an
// ordinary container, and the shims of kata pods.
const sound = `
[ -d "/proc/$1" ] || echo "I1: the ordinary container has ended"
shift
for link in current/kata-oc proof/kata-oc-proof current/kata-oc-rs proof/kata-oc-rs-proof; do
	[ -x "/run/kata-agent/$link/containerd-shim-kata-v2" ] && [ -s "/run/kata-agent/$link/configuration.toml" ] ||
		echo "I3: /run/kata-agent/$link leads nowhere: $(ls -l /run/kata-agent)"
done
for shim; do
	exe=$(readlink "/proc/$shim/exe")
	case $exe in
	/run/kata-agent/slots/*) [ -x "$exe" ] || echo "I4: $exe of shim $shim is not there" ;;
	*) echo "I4: shim $shim runs '$exe'" ;;
	esac
done
`

// assertSound checks what holds at every moment. An agent may run meanwhile.
func (k *soak) assertSound(when string) {
	k.t.Helper()
	args := []string{"sh", "-c", sound, "sh", strconv.Itoa(k.bystander.pid)}
	for _, shim := range slices.Sorted(maps.Values(k.pods)) {
		args = append(args, strconv.Itoa(shim))
	}
	require.Empty(k.t, k.run(args...), when)
	require.NoError(k.t, k.readable(), when)
	require.NoError(k.t, k.claims(), when)
}

// readable is I2: CRI-O reads every file in this directory.
func (k *soak) readable() error {
	var configuration map[string]any
	content, err := k.node.ReadFile(k.t.Context(), dropIn)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = toml.Unmarshal(content, &configuration)
	}
	if err != nil {
		return fmt.Errorf("I2: %w", err)
	}
	return nil
}

// claims is I5: a report that answers the intent is never ahead of the disk.
func (k *soak) claims() error {
	document, err := k.node.ReadFile(k.t.Context(), host.ReportFile)
	if err != nil {
		return err
	}
	r, err := node.DecodeReport(string(document))
	if err != nil {
		return fmt.Errorf("I5: %w", err)
	}
	if r.IntentID != k.wanted.ID || r.Phase != node.PhaseInstalled {
		return nil
	}
	var served record.Served
	if document, err = k.node.ReadFile(k.t.Context(), host.ServedFile); err == nil {
		err = json.Unmarshal(document, &served)
	}
	if err != nil || node.Digest(served.Payload) != r.Payload {
		return fmt.Errorf("I5: %s is reported as installed, the record is %+v (%w)", r.Payload, served, err)
	}
	return nil
}

// assertBounded is I9: at rest nothing is mounted but what serves and what pods hold, and the store
// has in addition what it can go back to, and no layer that belongs to none of these. All that is
// done after the report that the node is as wanted, by steps which the agent has no more of then.
func (k *soak) assertBounded() {
	k.t.Helper()
	k.await("I9: slots are bounded", func(context.Context) error {
		if mounts := k.payloadMounts(); len(mounts) > 1+len(k.pods) {
			return fmt.Errorf("%v are mounted under %d pods", mounts, len(k.pods))
		}
		return nil
	})
	k.await("no step is left", func(ctx context.Context) error {
		planned, err := k.node.Exec(ctx, agent, "run", "--dry-run")
		if err == nil && strings.Contains(string(planned), "\nstep: ") {
			err = errors.New(string(planned))
		}
		return err
	})
	k.await("I9: the store is bounded", func(ctx context.Context) error {
		images, err := k.records(ctx, "overlay-images/images.json")
		if err != nil {
			return err
		}
		if most := 2 + len(k.pods); len(images) > most {
			return fmt.Errorf("%d images, at most %d are needed", len(images), most)
		}
		layers, err := k.records(ctx, "overlay-layers/layers.json")
		if err != nil {
			return err
		}
		directories, err := k.node.Exec(ctx, "sh", "-c", `ls -d "$1"/overlay/[0-9a-f]*[0-9a-f] "$1"/overlay/staging/* "$1"/downloads/* 2>/dev/null || :`, "sh", host.StoreDir)
		if count := len(strings.Fields(string(directories))); err == nil && count != len(layers) {
			err = fmt.Errorf("%d layers are recorded, there are %s", len(layers), directories)
		}
		return err
	})
}

// records are those in a file of the store, none where there is no store.
func (k *soak) records(ctx context.Context, file string) (all []any, err error) {
	document, err := k.node.ReadFile(ctx, host.StoreDir+"/"+file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(document, &all)
	}
	return all, err
}

// assertStill is I7: an agent that is started on a node at rest writes nothing. The store's library
// writes its locks, and below /run what it has found out of the kernel.
func (k *soak) assertStill() {
	k.t.Helper()
	mounts, files := k.payloadMounts(), k.files().Without(host.StoreDir, host.StoreRunDir)
	const marker = "/run/soak"
	k.run("touch", marker)
	k.killNow()
	k.await("an agent has observed its node", func(context.Context) error {
		metrics, err := k.scrape()
		if err == nil && !observed(metrics) {
			err = errors.New("it has not")
		}
		return err
	})
	k.assertSound("a start at rest")
	assert.Equal(k.t, mounts, k.payloadMounts(), "I7")
	assert.Equal(k.t, files, k.files().Without(host.StoreDir, host.StoreRunDir), "I7")
	written := k.run("find", "/etc", host.SlotsDir, host.StateDir, "-type", "f", "-newer", marker)
	assert.Empty(k.t, written, "I7")
}

// observed reports whether these are the metrics of an agent that has seen its host.
func observed(metrics string) bool {
	const name = "\nkata_node_agent_last_observation_timestamp_seconds "
	_, value, found := strings.Cut(metrics, name)
	return found && !strings.HasPrefix(value, "0\n")
}
