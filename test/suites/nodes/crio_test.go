// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of CRI's messages
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// faulty is a node whose agent reaches CRI-O through what a test spoils. The kubelet does not.
type faulty struct {
	*subject
	cri *fault.CRI
}

// criSocket is what the agent takes for CRI-O's.
const criSocket = "/run/kata-test/cri.sock"

// newFaulty installs payload one on a node.
func newFaulty(t *testing.T, name string) *faulty {
	t.Helper()
	f := &faulty{subject: newSubjectWith(t, name, unclean())}
	f.run("mkdir", "-p", "/run/kata-test")
	f.listen()
	t.Cleanup(func() { assert.NoError(t, f.cri.Close()) })
	settings := fmt.Sprintf("cri_socket = %q\nproof_timeout = \"10s\"\n", criSocket)
	require.NoError(t, f.node.WriteFile("/etc/kata-agent/50-test.toml", []byte(settings), 0o644))
	f.run("systemctl", "restart", agentUnit)
	f.install()
	return f
}

func (f *faulty) listen() {
	f.t.Helper()
	live := f.node.Live(f.t.Context())
	cri, err := fault.ServeCRI(live+criSocket, live+"/run/crio/crio.sock")
	require.NoError(f.t, err)
	f.cri = cri
}

// refuse lets calls of a method fail with these words.
func (f *faulty) refuse(method, words string) (end func()) {
	return f.cri.Spoil(method, func(context.Context, fault.Pass) ([]byte, error) { return nil, status.Error(codes.Unknown, words) })
}

// hang lets calls of a method hang until the caller gives up.
func (f *faulty) hang(method string) (end func()) {
	ended := make(chan struct{})
	undo := f.cri.Spoil(method, func(ctx context.Context, pass fault.Pass) ([]byte, error) {
		select {
		case <-ended:
			return pass(ctx)
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	})
	return func() { undo(); close(ended) }
}

// amid runs a command on the node in the middle of the next proof: CRI-O has been asked for a
// sandbox when it starts.
func (f *faulty) amid(args ...string) (end func()) {
	var once sync.Once
	return f.cri.Spoil("RunPodSandbox", func(ctx context.Context, pass fault.Pass) ([]byte, error) {
		once.Do(func() {
			if _, err := f.node.Exec(context.WithoutCancel(ctx), args...); err != nil {
				f.t.Errorf("%v: %v", args, err)
			}
		})
		return pass(ctx)
	})
}

// alter changes answers of a method.
func alter[Answer any](f *faulty, method string, change func(*Answer)) (end func()) {
	codec := encoding.GetCodecV2("proto")
	return f.cri.Spoil(method, func(ctx context.Context, pass fault.Pass) ([]byte, error) {
		content, err := pass(ctx)
		if err != nil {
			return nil, err
		}
		answer := new(Answer)
		if err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(content)}, answer); err != nil {
			return nil, err
		}
		change(answer)
		altered, err := codec.Marshal(answer)
		return altered.Materialize(), err
	})
}

// crioFault is one thing that goes wrong with CRI-O while a payload is to be proved.
type crioFault struct {
	name string
	// begin lets it go wrong. What it returns ends that.
	begin func(f *faulty) (end func())
	// says are words of the report's error or of the service's sentence, while it lasts. Without
	// any, the payload is proved all the same.
	says string
	// passes is whether it ends by itself: says are words of the agent's journal then.
	passes bool
}

// crioFaults is the list of them. Those that need a node of their own are in other tests: a CRI-O
// that hangs in a removal, that does not come back from the agent's restart, that ends again and
// again, that panics, that runs pods of our handler with another file's program, that keeps
// sandboxes, and an agent that is killed in a proof.
func crioFaults() []crioFault {
	return []crioFault{
		{name: "Version hangs", begin: func(f *faulty) func() { return f.hang("Version") }},
		{name: "RunPodSandbox hangs", says: "does not answer in time", begin: func(f *faulty) func() { return f.hang("RunPodSandbox") }},
		{name: "CreateContainer is refused", says: "no such layer", begin: func(f *faulty) func() { return f.refuse("CreateContainer", "no such layer") }},
		{name: "StartContainer is refused", says: "no init in it", begin: func(f *faulty) func() {
			return f.refuse("StartContainer", "failed to start container x: no init in it")
		}},
		{name: "an answer is cut off", says: "starting a sandbox of handler kata-oc-proof", begin: func(f *faulty) func() {
			return f.cri.Spoil("RunPodSandbox", func(ctx context.Context, pass fault.Pass) ([]byte, error) {
				_, err := pass(ctx)
				f.cri.Cut()
				return nil, err
			})
		}},
		{name: "an answer is garbage", says: "starting a sandbox of handler kata-oc-proof", begin: func(f *faulty) func() {
			return f.cri.Spoil("RunPodSandbox", func(ctx context.Context, pass fault.Pass) ([]byte, error) {
				_, err := pass(ctx)
				return []byte{0xff, 0xff, 0xff}, err
			})
		}},
		{name: "the socket is deleted", says: "no such file", begin: (*faulty).deleteSocket},
		{name: "the socket refuses", says: "connection refused", begin: (*faulty).closeSocket},
		{name: "sandboxes are not listed", begin: func(f *faulty) func() { return f.refuse("ListPodSandbox", "no list today") }},
		{name: "a sandbox is not removed", begin: func(f *faulty) func() { return f.refuse("RemovePodSandbox", "it is mine") }},
		{name: "Status says that nothing is ready", begin: func(f *faulty) func() {
			return alter(f, "Status", func(s *runtimeapi.StatusResponse) {
				for _, c := range s.GetStatus().GetConditions() {
					c.Status = false
				}
			})
		}},
		{name: "Status lacks every handler", begin: func(f *faulty) func() {
			return alter(f, "Status", func(s *runtimeapi.StatusResponse) { s.RuntimeHandlers, s.Info = nil, nil })
		}},
		{name: "Version is another one", begin: func(f *faulty) func() {
			return alter(f, "Version", func(v *runtimeapi.VersionResponse) { v.RuntimeVersion = "0.0.1" })
		}},
		{name: "it is stopped in a proof", says: "waiting for CRI-O to run", begin: func(f *faulty) func() {
			undo := f.amid("systemctl", "stop", crioUnit)
			return func() { undo(); f.run("systemctl", "start", crioUnit, kubeletUnit) }
		}},
		{name: "it is restarted in a proof", says: "Failed: prove payload", passes: true, begin: func(f *faulty) func() { return f.amid("systemctl", "restart", crioUnit) }},
		{name: "it is killed in a proof", says: "Failed: prove payload", passes: true, begin: func(f *faulty) func() {
			return f.amid("systemctl", "kill", "--kill-who=main", "--signal=KILL", crioUnit)
		}},
		{name: "it is reloaded in a proof", begin: func(f *faulty) func() { return f.amid("systemctl", "reload", crioUnit) }},
		{name: "it refuses its configuration at its start", says: foreignFile, begin: func(f *faulty) func() {
			f.run("systemctl", "stop", crioUnit)
			f.writeForeign("[crio.runtime\n")
			_, err := f.node.Exec(f.t.Context(), "systemctl", "start", crioUnit)
			require.Error(f.t, err)
			return func() {
				f.run("rm", foreignFile)
				f.run("systemctl", "restart", crioUnit)
				f.run("systemctl", "start", kubeletUnit)
			}
		}},
	}
}

func (f *faulty) deleteSocket() (end func()) {
	f.run("rm", criSocket)
	require.NoError(f.t, f.cri.Close())
	return f.listen
}

func (f *faulty) closeSocket() (end func()) {
	require.NoError(f.t, f.cri.Close())
	return f.listen
}

// Whatever goes wrong with CRI-O while a payload is to be proved: what served serves on until
// another payload is proved, people read what is wrong, no ordinary pod is disturbed, and the node
// gets there by itself once nothing is wrong any more.
func TestWhateverGoesWrongWithCRIO(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, "crio-faults")
	served, next := f.one, f.two
	for _, row := range crioFaults() {
		began := time.Now()
		f.suffer(row, next)
		f.assertUndisturbed(t.Context())
		if t.Failed() {
			t.Fatalf("%s: see above", row.name)
		}
		served, next = next, served
		t.Logf("%s: %s", row.name, time.Since(began).Round(100*time.Millisecond))
	}
	f.awaitAdmission()
}

// suffer is one row: the node serves the payload at its end.
func (f *faulty) suffer(row crioFault, payload string) {
	f.t.Helper()
	current, said := f.current(), f.said()
	end := row.begin(f)
	f.change("payloadImage", payload)
	if row.says != "" && !row.passes {
		f.awaitSaid(row)
		assert.Equal(f.t, current, f.current(), "%s: nothing unproved serves", row.name)
	}
	if row.passes {
		f.await("the journal has what went wrong", func(context.Context) error {
			if !strings.Contains(strings.TrimPrefix(f.said(), said), row.says) {
				return errors.New("it has not")
			}
			return nil
		})
	}
	if row.says != "" {
		end()
	}
	f.awaitReport(row.name+": is installed with the payload", func(r node.Report) bool {
		return r.Phase == node.PhaseInstalled && r.Error == nil && r.Payload == node.Digest(payload)
	})
	if row.says == "" {
		end()
	}
	f.awaitCompleted()
	assert.NotEqual(f.t, current, f.current())
	// An agent waits ever longer before it repeats what it has done several times; another one does
	// not know of that. A payload that is mounted and proved would not be proved again.
	f.kill()
	f.awaitMounts(1)
	// Nor would the former payload be, by what was found out about it.
	f.run("rm", "-rf", host.FindingsDir)
}

// awaitSaid waits until the report's error, or the service's sentence, has a row's words.
func (f *faulty) awaitSaid(row crioFault) {
	f.t.Helper()
	f.await(row.name+": it is said", func(ctx context.Context) error {
		r, err := f.node.Report(ctx)
		if err != nil {
			return err
		}
		if r.Error != nil && strings.Contains(r.Error.Message, row.says) {
			return nil
		}
		unit, err := f.node.Unit(ctx, agentUnit)
		if err == nil && !strings.Contains(unit["StatusText"], row.says) {
			err = fmt.Errorf("the report's error is %+v, and the service says %s", r.Error, unit["StatusText"])
		}
		return err
	})
}

// said is the agent's journal.
func (f *faulty) said() string {
	f.t.Helper()
	journal, err := f.node.Journal(f.t.Context(), agentUnit)
	require.NoError(f.t, err)
	return journal
}
