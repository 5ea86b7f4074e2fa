// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/step"
	"github.com/kata-node/kata-node/payload/manifest"
)

const bootID = "1f0f9a2e"

func one() hosttest.Payload { return hosttest.Payload{Version: "1.0.0", Shim: "#!/bin/true one"} }

// two asks for a guest with modules of the host's kernel, and starts virtual machines.
func two() hosttest.Payload {
	return hosttest.Payload{Version: "2.0.0", Shim: "#!/bin/true two", Modules: []string{"virtiofs"}, Requires: manifest.Requires{KVM: true}}
}

// bench takes passes on a machine, as the agent does.
type bench struct {
	*hosttest.Machine
	shown cluster.State
	self  host.Identity
	said  []string
	// layering are the numbers of the changes that steps about packages have made.
	layering []int
	// mayReboot is the boot that the intent's grant names, guarded why no pod is evicted, bound
	// pods that no watch has shown yet.
	mayReboot string
	guarded   error
	bound     []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	root := t.TempDir()
	m, err := hosttest.New(root, files.Below(root))
	require.NoError(t, err)
	m.Kernels = []string{"6.13", "6.12"}
	for _, kernel := range m.Kernels {
		require.NoError(t, m.Files.Write("/usr/lib/modules/"+kernel+"/vmlinuz", nil, 0o644))
	}
	m.Lack("/dev/vhost-vsock")
	for _, p := range []hosttest.Payload{one(), two()} {
		m.Registry[p.Reference()] = p
	}
	return &bench{Machine: m, shown: cluster.State{Known: true, PodsKnown: true}, self: host.Identity{BootID: bootID, Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service", ProofTimeout: 100 * time.Second}}
}

// want puts an intent on the Node, with a grant.
func (b *bench) want(t *testing.T, i node.Intent) {
	t.Helper()
	i = i.Identify("node")
	i.Grants.RestartCRIO, i.Grants.Reboot = bootID, b.mayReboot
	document, err := i.Encode()
	require.NoError(t, err)
	b.shown.Intent = document
}

func installing(p hosttest.Payload) node.Intent {
	return node.Intent{State: node.StateInstalled, Payload: p.Reference()}
}

func (b *bench) runner() step.Runner {
	return step.Runner{Host: b.Host(), Self: b.self, Node: drain{b}, Tell: func(sentence string) { b.said = append(b.said, sentence) }}
}

func (b *bench) look(t *testing.T) plan.Facts {
	t.Helper()
	facts, err := observe.Observer{Host: b.Host(), Self: b.self}.Look(t.Context(), b.shown)
	require.NoError(t, err)
	return facts
}

// until carries out the plan until a step of this kind is next, and returns it with the facts that
// it was planned from.
func (b *bench) until(t *testing.T, kind plan.Kind) (plan.Step, plan.Facts) {
	t.Helper()
	for range 50 {
		f := b.look(t)
		p := plan.For(f)
		require.NotEmpty(t, p.Lines, "%s never comes: %s", kind, p.Wait)
		next := p.Next()[0]
		if next.Kind == kind {
			return next, f
		}
		require.NoError(t, b.runner().Run(t.Context(), next, f))
	}
	t.Fatalf("%s never comes", kind)
	return plan.Step{}, plan.Facts{}
}

// settle takes passes until nothing is left to do or the machine goes down. A step that fails is
// tried again, and an agent that dies comes back.
func (b *bench) settle(t *testing.T) (done []plan.Kind, last plan.Plan) {
	t.Helper()
	for range 100 {
		f := b.look(t)
		last = plan.For(f)
		steps := last.Next()[:min(len(last.Lines), 1)]
		if len(steps) == 0 {
			steps = last.Tidy
		}
		if len(steps) == 0 {
			return done, last
		}
		for _, s := range steps {
			from := b.Changes
			if err := b.runner().Run(t.Context(), s, f); err == nil {
				done = append(done, s.Kind)
			}
			if s.Kind == plan.LayerPackages || s.Kind == plan.UnlayerPackages {
				for at := from + 1; at <= b.Changes; at++ {
					b.layering = append(b.layering, at)
				}
			}
		}
		if b.Dead() {
			b.Revive()
		}
		if b.GoingDown {
			return done, last
		}
	}
	t.Fatalf("the plan never ends: %v", done)
	return nil, plan.Plan{}
}

// settleSteps is settle without tidy steps.
func (b *bench) settleSteps(t *testing.T) (done []plan.Kind, last plan.Plan) {
	t.Helper()
	for range 100 {
		f := b.look(t)
		if last = plan.For(f); len(last.Lines) == 0 {
			return done, last
		}
		s := last.Next()[0]
		require.NoError(t, b.runner().Run(t.Context(), s, f))
		done = append(done, s.Kind)
	}
	t.Fatalf("the plan never ends: %v", done)
	return nil, plan.Plan{}
}

// state is everything on the machine that outlives an agent.
type state struct {
	files     map[string]string
	mounts    []string
	images    []host.Image
	sandboxes []host.Sandbox
	starts    int
}

// slot is that of the only mount.
func (s state) slot() string { return path.Base(path.Dir(s.mounts[0])) }

// identity is that of files in their file system.
var identity = regexp.MustCompile(`"(identity|rendered)":"[0-9a-f]{64}"`)

func (b *bench) state(t *testing.T) state {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(b.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(b.Root, path)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			found[name] = "-> " + filepath.Base(filepath.Dir(target)) + "/" + filepath.Base(target)
			return err
		}
		content, err := os.ReadFile(path)
		found[name] = identity.ReplaceAllString(string(content), `"$1":"IDENTITY"`)
		return err
	}))
	return state{found, append([]string{}, b.Mounts...), append([]host.Image{}, b.Images...), append([]host.Sandbox{}, b.Sandboxes...), b.Starts}
}
