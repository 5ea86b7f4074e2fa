// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed/images"
)

const (
	patience = 2 * time.Minute
	interval = 20 * time.Millisecond
)

// node is a directory with everything one CRI-O needs, its process while it runs, and the test they
// are for.
type node struct {
	*testing.T

	dir, binary string
	cri         runtimeapi.RuntimeServiceClient
	conn        *grpc.ClientConn
	process     *process
	args        []string // beyond those that say where the configuration is
	ids         []string // of the sandboxes it ran
	containers  []string // of the containers in them
}

// process is one start of CRI-O.
type process struct {
	cmd   *exec.Cmd
	log   *logBuffer
	ended chan struct{} // closed when the process is gone
}

const mainConfig = `
[crio]
root = "DIR/root"
runroot = "DIR/runroot"
storage_driver = "vfs"
log_dir = "DIR/log"
version_file = "DIR/version"
version_file_persist = ""
clean_shutdown_file = ""
internal_wipe = false
[crio.api]
listen = "DIR/crio.sock"
[crio.runtime]
default_runtime = "ordinary"
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
namespaces_dir = "DIR/ns"
container_exits_dir = "DIR/exits"
container_attach_socket_dir = "DIR/attach"
hooks_dir = ["DIR/hooks"]
irqbalance_config_restore_file = "disable"
[crio.runtime.runtimes.ordinary]
runtime_path = "DIR/bin/ordinary"
[crio.image]
pause_image = "PAUSE"
signature_policy = "DIR/policy.json"
[crio.network]
network_dir = "DIR/cni"
plugin_dirs = ["DIR/cni-bin"]
[crio.nri]
enable_nri = false
`

// newNode returns a node whose CRI-O does not run yet.
func newNode(t *testing.T) *node {
	t.Helper()
	return newNodeIn(t, t.TempDir())
}

func newNodeIn(t *testing.T, dir string) *node {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: CRI-O could run nothing")
	}
	n := &node{T: t, dir: dir, binary: built.crio}
	write(t, n.path("crio.conf"), strings.NewReplacer("DIR", n.dir, "PAUSE", images.Pause).Replace(mainConfig))
	write(t, n.path("registries.conf"), fmt.Sprintf("[[registry]]\nprefix = %q\nlocation = %q\ninsecure = true\n", images.Registry, built.registry))
	write(t, n.path("policy.json"), `{"default": [{"type": "insecureAcceptAnything"}]}`)
	write(t, n.path("bin/ordinary"), "#!/bin/sh\necho ordinary 1.0\n")
	require.NoError(t, os.Chmod(n.path("bin/ordinary"), 0o755))
	require.NoError(t, os.MkdirAll(n.path("conf.d"), 0o755))
	t.Cleanup(func() { n.cleanUp() })
	return n
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// dropIn writes a file into the drop-in directory, whatever it is called.
func (n *node) dropIn(name, content string) {
	n.Helper()
	write(n, n.path(filepath.Join("conf.d", name)), content)
}

func (n *node) removeDropIn(name string) {
	n.Helper()
	require.NoError(n, os.Remove(n.path(filepath.Join("conf.d", name))))
}

func (n *node) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), n.binary, append([]string{"--config", n.path("crio.conf"), "--config-dir", n.path("conf.d")}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(n.binary)+":"+os.Getenv("PATH"),
		"CONTAINER_REGISTRIES_CONF="+n.path("registries.conf"), "INVOCATION_ID=", "NOTIFY_SOCKET=")
	return cmd
}

func (n *node) launch() *process {
	n.Helper()
	p := &process{cmd: n.command(n.args...), log: &logBuffer{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.WaitDelay = time.Second
	require.NoError(n, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() //nolint:errcheck // how it ended is read from the process state
		close(p.ended)
	}()
	return p
}

// start launches CRI-O and waits until it answers.
func (n *node) start() {
	n.Helper()
	n.process = n.launch()
	if n.cri == nil {
		conn, err := grpc.NewClient("unix://"+n.path("crio.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: patience}))
		require.NoError(n, err)
		n.cri, n.conn = runtimeapi.NewRuntimeServiceClient(conn), conn
	}
	require.Eventually(n, func() bool {
		_, err := n.cri.Version(n.Context(), &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
		return err == nil || n.process.hasEnded()
	}, patience, interval, "CRI-O does not answer")
	require.False(n, n.process.hasEnded(), "CRI-O did not start: %s", n.process.log)
}

func (n *node) images() runtimeapi.ImageServiceClient {
	return runtimeapi.NewImageServiceClient(n.conn)
}

// refuses launches CRI-O, expects it to give up with exit code 1, and returns what it said.
func (n *node) refuses() string {
	n.Helper()
	p := n.launch()
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill() //nolint:errcheck // the test fails anyway
		n.Fatalf("CRI-O started, or hangs: %s", p.log)
	}
	require.Equal(n, 1, p.cmd.ProcessState.ExitCode(), p.log.String())
	return p.log.String()
}

func (n *node) stop() {
	n.Helper()
	require.NoError(n, n.process.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-n.process.ended:
	case <-time.After(patience):
		n.Fatalf("CRI-O does not end: %s", n.process.log)
	}
}

func (n *node) restart() {
	n.Helper()
	n.stop()
	n.start()
}

// reload sends SIGHUP and waits for CRI-O to say how it went; it returns what it logged meanwhile.
func (n *node) reload() (log string, completed bool) {
	n.Helper()
	before := len(n.process.log.String())
	require.NoError(n, n.process.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(n, func() bool {
		log = n.process.log.String()[before:]
		completed = strings.Contains(log, "Configuration reload completed")
		return completed || strings.Contains(log, "Unable to reload configuration")
	}, patience, interval)
	return log, completed
}

// shown lists the handlers in CRI Status, the default's empty name included.
func (n *node) shown() []string {
	n.Helper()
	status, err := n.cri.Status(n.Context(), &runtimeapi.StatusRequest{})
	require.NoError(n, err)
	var names []string
	for _, h := range status.GetRuntimeHandlers() {
		names = append(names, h.GetName())
	}
	slices.Sort(names)
	return names
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// logBuffer collects output while a test reads it.
type logBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

// vmHandler is the table of a vm handler.
func vmHandler(name, shim string, more ...string) string {
	return fmt.Sprintf("[crio.runtime.runtimes.%s]\nruntime_path = %q\nruntime_type = \"vm\"\nruntime_root = \"/run/vc\"\n%s\n",
		name, shim, strings.Join(more, "\n"))
}
