// SPDX-License-Identifier: Apache-2.0

package ladder_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/scale/scaletest"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kata-node/kata-node/test/bed"
)

// process is a program under measurement.
type process struct{ cmd *exec.Cmd }

func launch(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()
	// Collector and scheduler see two processors, as in the published figures.
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=2"), cmd.Env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(tb, cmd.Start())
	return &process{cmd}
}

func (p *process) stop(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, p.cmd.Process.Kill())
	require.Error(tb, p.cmd.Wait(), "a process ended by itself")
}

func (p *process) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	used, err := scaletest.CPU(p.cmd.Process.Pid)
	require.NoError(tb, err)
	return used
}

func (p *process) memory(tb testing.TB, line string) float64 {
	tb.Helper()
	size, err := scaletest.MiB(p.cmd.Process.Pid, line)
	require.NoError(tb, err)
	return size
}

// controller is the program that is measured most.
type controller struct {
	*process
	// address is where it serves its metrics.
	address string
}

// startController starts it with its service account. A later one still has the lease, as a
// container that starts again in the same pod. The rate lets no rollout take longer than some
// minutes; its default is 20.
func (r *rung) startController(tb testing.TB) *controller {
	tb.Helper()
	address := freeAddress(tb)
	programs, err := r.workspace.Build(tb.Context(), os.Stderr, bed.BuildOptions{Only: []string{"kata-controller"}})
	require.NoError(tb, err)
	config, err := r.cluster.ServiceAccount(tb.Context(), namespace, account)
	require.NoError(tb, err)
	kubeconfig := filepath.Join(r.dir, "controller")
	require.NoError(tb, r.cluster.WriteKubeconfig(kubeconfig, config))
	cmd := exec.CommandContext(tb.Context(), programs.Path("kata-controller"), "--kubeconfig", kubeconfig, "--log-level", "warning", "--listen", address,
		"--agent-deadline", "1h", "--leader-elect-identity", account, "--requests-per-second", fmt.Sprint(max(20, r.size/20)))
	cmd.Env = []string{"GOGC=50", "GOMEMLIMIT=200MiB"} // As in deploy/.
	return &controller{launch(tb, cmd), address}
}

// freeAddress is one at which no other program listened a moment ago.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { require.NoError(tb, listener.Close()) }()
	return listener.Addr().String()
}

// metric is one of the controller's, by name and labels.
func (c *controller) metric(ctx context.Context, name string) (float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseFloat(value, 64)
}

// eventsOfANode are its intent, its grant and its label.
const eventsOfANode = 3

// sent is over when the API server has every event of the rollout, and returns how long it took.
func (r *rung) sent(tb testing.TB, c *controller) time.Duration {
	tb.Helper()
	return r.await(tb, "the last event", func(ctx context.Context) error {
		sent, err := c.metric(ctx, `kata_controller_events_total{result="success"}`)
		if err == nil && int(sent) < eventsOfANode*r.size {
			err = fmt.Errorf("the API server has %v", sent)
		}
		return err
	})
}

// baselineOf names the kubeconfig in the environment of a process that is the baseline.
const baselineOf = "KATA_LADDER_BASELINE"

// baseline writes a line after each pass, with how many nodes are not Ready.
func baseline(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	object, err := client.Resource(v1.GroupVersion().WithResource(v1.Resource)).Get(ctx, configName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	kc := &v1.KataConfig{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, kc); err != nil {
		return err
	}
	return scaletest.Baseline(ctx, config, kc, func(notReady int) error {
		_, err := fmt.Println(notReady)
		return err
	})
}

// baselineProcess is the baseline, and what it has written last.
type baselineProcess struct {
	*process
	notReady atomic.Int64
}

// startBaseline returns when its first pass is over.
func (r *rung) startBaseline(tb testing.TB) *baselineProcess {
	tb.Helper()
	admin, err := r.cluster.Admin()
	require.NoError(tb, err)
	kubeconfig := filepath.Join(r.dir, "baseline")
	require.NoError(tb, r.cluster.WriteKubeconfig(kubeconfig, admin))
	cmd := exec.CommandContext(tb.Context(), os.Args[0])
	cmd.Env = []string{baselineOf + "=" + kubeconfig}
	lines, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	b := &baselineProcess{}
	b.notReady.Store(-1)
	b.process = launch(tb, cmd)
	go func() {
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			var count int64
			if _, err := fmt.Sscan(scanner.Text(), &count); err == nil {
				b.notReady.Store(count)
			}
		}
	}()
	r.await(tb, "the first pass of the baseline", func(context.Context) error {
		if b.notReady.Load() < 0 {
			return errors.New("it has written nothing")
		}
		return nil
	})
	return b
}

// ready is nil once a pass has seen that so many nodes are Ready.
func (b *baselineProcess) ready(_ context.Context, nodes, of int) error {
	if found := of - int(b.notReady.Load()); found != nodes {
		return fmt.Errorf("it has seen %d of %d", found, nodes)
	}
	return nil
}
