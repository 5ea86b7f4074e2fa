// SPDX-License-Identifier: Apache-2.0

package copying_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	katav1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

const (
	agentUnit    = "kata-node-agent.service"
	agentProgram = "/usr/libexec/kata-agent/kata-node-agent"
	crioUnit     = "crio.service"
	current      = "/run/kata-agent/current"
)

// agent is a node that a KataConfig selects.
type agent struct {
	cluster *fixture.Cluster
	node    *fixture.Node
	applied bool
}

func newAgent(b *testing.B, c *fixture.Cluster) *agent {
	b.Helper()
	n, err := c.AddNode(b.Context(), "agent")
	require.NoError(b, err)
	require.NoError(b, n.AwaitAgent(b.Context()))
	require.NoError(b, c.Select(b.Context(), n.Name()))
	return &agent{cluster: c, node: n}
}

// settle implements installer.
func (a *agent) settle(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		planned, err := a.node.Exec(ctx, agentProgram, "run", "--dry-run")
		require.NoError(b, err)
		mounts, err := a.node.PayloadMounts(ctx)
		require.NoError(b, err)
		if !strings.Contains(string(planned), "\nstep: ") && len(mounts) <= 1 {
			return
		}
	}
	require.NoError(b, ctx.Err(), "waiting until the agent has no step left")
}

// forget implements installer: the agent keeps the payload that was served before.
func (a *agent) forget(*testing.B, payload) {}

// bring implements installer. The time is that until the link that CRI-O follows has moved: from
// the order in the API, and from when the controller wrote the intent on the Node.
func (a *agent) bring(b *testing.B, p payload) cost {
	b.Helper()
	before, from := a.counters(b), time.Now()
	if a.applied {
		require.NoError(b, a.cluster.SetPayload(b.Context(), p.agents))
	} else {
		require.NoError(b, a.cluster.ApplySample(b.Context())) // Its payload is the controller's own, the first one.
		a.applied = true
	}
	a.await(b, p.agents, func(node.Report) bool { return true })
	moved := a.moved(b)
	intended := a.intended(b, from)
	spent := a.counters(b).since(before, moved.Sub(from))
	spent.own, spent.story = moved.Sub(intended), a.story(b, intended)
	return spent
}

// intended is when the first write of the controller to this Node since a moment reached the API
// server, which is that of an intent. When it was stored is not taken: the agent may see an intent
// before its writer has the answer.
func (a *agent) intended(b *testing.B, since time.Time) time.Time {
	b.Helper()
	requests, err := a.cluster.Requests(func(user string) bool { return user == fixture.ControllerUser })
	require.NoError(b, err)
	for _, r := range requests {
		on := r.ObjectRef
		if r.Verb == "patch" && on != nil && on.Resource == "nodes" && on.Name == a.node.Name() && r.RequestReceivedTimestamp.After(since) {
			return r.RequestReceivedTimestamp.Time
		}
	}
	require.Fail(b, "the controller has written nothing on the Node")
	return time.Time{}
}

// story is what the agent has logged since a moment, each line with the seconds since then.
func (a *agent) story(b *testing.B, since time.Time) string {
	b.Helper()
	out, err := a.node.Exec(b.Context(), "journalctl", "--quiet", "--no-pager", "--output=short-unix", "--unit="+agentUnit, fmt.Sprintf("--since=@%d", since.Unix()))
	require.NoError(b, err)
	var logged strings.Builder
	for line := range strings.Lines(string(out)) {
		stamp, rest, _ := strings.Cut(line, " ")
		at, err := strconv.ParseFloat(stamp, 64)
		if after := at - float64(since.UnixMicro())/1e6; err == nil && after >= 0 {
			fmt.Fprintf(&logged, "%.4f %s", after, rest)
		}
	}
	return logged.String()
}

// await waits until the payload serves.
func (a *agent) await(b *testing.B, image string, further func(node.Report) bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	_, digest, _ := strings.Cut(image, "@")
	_, err := a.node.AwaitReport(ctx, "serves "+image, func(r node.Report) bool {
		return r.Phase == node.PhaseInstalled && r.Payload == digest && r.Error == nil && further(r)
	})
	require.NoError(b, err)
	_, err = a.cluster.AwaitConfig(ctx, "is completed with "+image, func(k katav1.KataConfig) bool {
		return fixture.Completed(1)(k) && k.Status.KataImage == image
	})
	require.NoError(b, err)
}

// restore implements installer. The time is that from the start of the agent.
func (a *agent) restore(b *testing.B) cost {
	b.Helper()
	report, err := a.node.Report(b.Context())
	require.NoError(b, err)
	wire := a.node.Images.Served()
	require.NoError(b, a.node.Reboot(b.Context()))
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	_, err = a.node.AwaitReport(ctx, "serves again", func(r node.Report) bool {
		return r.Phase == node.PhaseInstalled && r.Payload == report.Payload && r.BootID != report.BootID
	})
	require.NoError(b, err)
	started := shown(b, a.node.Node, "show", "--property=ExecMainStartTimestamp", "--value", "--timestamp=us+utc", agentUnit)
	from, err := time.Parse("Mon 2006-01-02 15:04:05.999999 MST", started)
	require.NoError(b, err)
	took := a.moved(b).Sub(from)
	return cost{took: took, own: took, wire: float64(a.node.Images.Served() - wire), written: written(b, a.node.Node, agentUnit).written}
}

// runs implements installer.
func (a *agent) runs() (on *bed.Node, class string) { return a.node.Node, node.RuntimeClass }

// moved is when the link was last made.
func (a *agent) moved(b *testing.B) time.Time {
	b.Helper()
	out, err := a.node.Exec(b.Context(), "stat", "--format=%.6Y", current)
	require.NoError(b, err)
	seconds, micro, _ := strings.Cut(strings.TrimSpace(string(out)), ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	require.NoError(b, err)
	us, err := strconv.ParseInt(micro, 10, 64)
	require.NoError(b, err)
	return time.Unix(s, us*int64(time.Microsecond))
}

// disk implements installer.
func (a *agent) disk(b *testing.B) float64 {
	b.Helper()
	return occupied(b, a.node.Node, "/var/lib/kata-containers")
}

// remove implements installer.
func (a *agent) remove(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	require.NoError(b, a.cluster.DeleteSample(ctx))
	require.NoError(b, a.cluster.AwaitGone(ctx))
	a.applied = false
}

// counters are what a node has moved so far.
type counters struct {
	wire        float64
	agent, crio process
}

func (a *agent) counters(b *testing.B) counters {
	b.Helper()
	return counters{float64(a.node.Images.Served()), written(b, a.node.Node, agentUnit), written(b, a.node.Node, crioUnit)}
}

func (c counters) since(before counters, took time.Duration) cost {
	return cost{
		took: took, wire: c.wire - before.wire, written: c.agent.since(before.agent).and(c.crio.since(before.crio)), restarted: c.crio.id != before.crio.id,
	}
}

// disk is what was let a disk write, in bytes. Of these, some were deleted before it had them, as a
// temporary file is that no sync and no lack of memory has flushed in time.
type disk struct{ written, deleted float64 }

func (d disk) and(other disk) disk { return disk{d.written + other.written, d.deleted + other.deleted} }

// process is one start of a unit's main process, with what it and the children it waited for have
// let the disk write, see proc_pid_io(5).
type process struct {
	id      string
	written disk
}

func (p process) since(before process) disk {
	if p.id != before.id {
		return p.written
	}
	return disk{p.written.written - before.written.written, p.written.deleted - before.written.deleted}
}

func written(b *testing.B, n *bed.Node, unit string) process {
	b.Helper()
	id := shown(b, n, "show", "--property=MainPID", "--value", unit)
	out, err := n.Exec(b.Context(), "cat", "/proc/"+id+"/io")
	require.NoError(b, err)
	return process{id, writes(b, string(out))}
}

func writes(b *testing.B, text string) (d disk) {
	b.Helper()
	for line := range strings.Lines(text) {
		for name, into := range map[string]*float64{"write_bytes": &d.written, "cancelled_write_bytes": &d.deleted} {
			if _, err := fmt.Sscanf(line, name+": %f", into); err == nil {
				break
			}
		}
	}
	return d
}

func shown(b *testing.B, n *bed.Node, args ...string) string {
	b.Helper()
	out, err := n.Exec(b.Context(), append([]string{"systemctl"}, args...)...)
	require.NoError(b, err)
	return strings.TrimSpace(string(out))
}

// occupied is what directories occupy of the disk, a file with several names once.
func occupied(b *testing.B, n *bed.Node, dirs ...string) float64 {
	b.Helper()
	out, err := n.Exec(b.Context(), append([]string{"du", "--summarize", "--total", "--one-file-system", "--block-size=1"}, dirs...)...)
	require.NoError(b, err)
	lines := strings.Fields(string(out))
	total, err := strconv.ParseFloat(lines[len(lines)-2], 64)
	require.NoError(b, err)
	return total
}
