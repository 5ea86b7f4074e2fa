// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
)

var realCrio = flag.String("crio", "", "another real CRI-O than the one that is built from its module")

// built is what TestMain prepares: the programs under test, and where images are pulled from.
var built struct {
	dir, standIn, real string
	programs           bed.Programs
	registry           string
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crio-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // below the temporary directory
	built.dir, built.standIn, built.real = dir, filepath.Join(dir, "crio"), *realCrio
	if err := buildAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Geteuid() == 0 { // Without root a real CRI-O could run nothing.
		end, err := buildReal(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer end()
	}
	return m.Run()
}

func buildAll(dir string) error {
	const shim = "../../../shim"
	for out, args := range map[string][]string{
		built.standIn:                     {"../../../cmd/crio"},
		shimPath(dir, "v1"):               {shim, "-ldflags=-X main.version=1"},
		shimPath(dir, "v2"):               {shim, "-ldflags=-X main.version=2"},
		shimPath(dir, "broken"):           {shim, "-ldflags=-X 'main.fail=the guest image is missing'"},
		filepath.Join(dir, "oci-runtime"): {"testdata/oci-runtime"},
	} {
		cmd := exec.CommandContext(context.Background(), "go", append([]string{"build", "-o", out}, args[1:]...)...)
		cmd.Dir = args[0]
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %v: %w: %s", args, err, output)
		}
	}
	return nil
}

// buildReal builds CRI-O unless another one was named, and the images that it pulls.
func buildReal(ctx context.Context) (end func(), err error) {
	workspace, err := bed.FindWorkspace()
	if err != nil {
		return nil, err
	}
	names := []string{"pause", "agnhost"}
	if built.real == "" {
		names = append(names, "cri-o", "pinns")
	}
	if built.programs, err = workspace.Build(ctx, os.Stderr, bed.BuildOptions{Only: names}); err != nil {
		return nil, err
	}
	built.real = cmp.Or(built.real, built.programs.Path("cri-o"))
	built.registry, end, err = serveImages(ctx, built.programs)
	return end, err
}

func shimPath(dir, variant string) string {
	return filepath.Join(dir, variant, "containerd-shim-kata-v2")
}

// shimOf is a shim that runs; its variants are v1, v2 and broken.
func shimOf(variant string) string { return shimPath(built.dir, variant) }

// each runs a test against every CRI-O at hand. A test that needs no sandbox needs no root for the
// stand-in.
func each(t *testing.T, test func(n *node)) {
	t.Helper()
	t.Run("stand-in", func(t *testing.T) {
		t.Parallel()
		test(newNode(t, built.standIn))
	})
	t.Run("cri-o", func(t *testing.T) {
		t.Parallel()
		needRoot(t)
		test(newNode(t, built.real))
	})
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: shims listen below /run/containerd")
	}
}

func write(tb testing.TB, path, content string) string {
	tb.Helper()
	require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(tb, os.WriteFile(path, []byte(content), 0o600))
	return path
}
