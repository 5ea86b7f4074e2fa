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

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
)

var otherCRIO = flag.String("crio", "", "another CRI-O than the one that is built from its module")

// built is what TestMain prepares: the programs under test, and where images are pulled from.
var built struct {
	dir, crio string
	programs  bed.Programs
	registry  string
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
	defer os.RemoveAll(dir)            //nolint:errcheck // below the temporary directory
	defer os.RemoveAll(host.ProofLogs) //nolint:errcheck // nothing reads it
	built.dir, built.crio = dir, *otherCRIO
	if err := buildAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Geteuid() == 0 { // Without root CRI-O could run nothing.
		end, err := buildCRIO(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer end()
	}
	return m.Run()
}

func buildAll(dir string) error {
	const shim = "../../shim"
	for out, args := range map[string][]string{
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

// buildCRIO builds CRI-O unless another one was named, and the images that it pulls.
func buildCRIO(ctx context.Context) (end func(), err error) {
	workspace, err := bed.FindWorkspace()
	if err != nil {
		return nil, err
	}
	names := []string{"pause", "agnhost"}
	if built.crio == "" {
		names = append(names, "crio", "pinns")
	}
	if built.programs, err = workspace.Build(ctx, os.Stderr, bed.BuildOptions{Only: names}); err != nil {
		return nil, err
	}
	built.crio = cmp.Or(built.crio, built.programs.Path("crio"))
	built.registry, end, err = serveImages(ctx, built.programs)
	return end, err
}

func shimPath(dir, variant string) string {
	return filepath.Join(dir, variant, "containerd-shim-kata-v2")
}

// shimOf is a shim that runs; its variants are v1, v2 and broken.
func shimOf(variant string) string { return shimPath(built.dir, variant) }

func write(tb testing.TB, path, content string) string {
	tb.Helper()
	require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(tb, os.WriteFile(path, []byte(content), 0o600))
	return path
}
