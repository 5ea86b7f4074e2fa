// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/test/bed/build"
)

func TestLargeProgramIsBuiltAgainOnlyWhenItsSourcesChange(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	write(t, repository, "test/go.mod", "module example.test\n\ngo 1.26\n")
	write(t, repository, "test/cmd/testbed/main.go", program("one"))
	assert.Contains(t, buildTestbed(t, repository), "building testbed")
	assert.Equal(t, "one", run(t, repository))

	assert.Empty(t, buildTestbed(t, repository), "nothing changed")
	write(t, repository, "test/cmd/testbed/main_test.go", "package main")
	assert.Empty(t, buildTestbed(t, repository), "a test changed")

	write(t, repository, "test/cmd/testbed/main.go", program("two"))
	assert.Contains(t, buildTestbed(t, repository), "building testbed")
	assert.Equal(t, "two", run(t, repository))
}

func TestAProgramThatIsUpToDateIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	write(t, repository, "test/go.mod", "module example.test\n\ngo 1.26\n")
	write(t, repository, "test/cmd/testbed/main.go", program("one"))
	assert.Contains(t, buildTestbed(t, repository), "building testbed")

	lock, err := os.Open(filepath.Join(repository, "bin", "build.lock"))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX), "as another test program that builds")
	assert.Empty(t, buildTestbed(t, repository))
}

func TestProgramThatDoesNotCompileIsShown(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	write(t, repository, "test/go.mod", "module example.test\n\ngo 1.26\n")
	write(t, repository, "test/cmd/testbed/main.go", "package main\n\nfunc main() { undefinedThing() }\n")
	err := build.All(t.Context(), t.Output(), options(repository))
	require.ErrorContains(t, err, "building testbed")
	require.ErrorContains(t, err, "undefinedThing")
}

func TestOnlyOurOwnProgramsAreBuiltWithTheRaceDetector(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "/bin/testbed", build.Path("/bin", "testbed", true))
	assert.Equal(t, "/bin/race/kata-node-agent", build.Path("/bin", "kata-node-agent", true))
	assert.Equal(t, "/bin/kata-node-agent", build.Path("/bin", "kata-node-agent", false))
}

func TestUnknownProgramIsRefused(t *testing.T) {
	t.Parallel()
	err := build.All(t.Context(), t.Output(), build.Options{Repository: t.TempDir(), Bin: t.TempDir(), Only: []string{"kubelett"}})
	require.ErrorContains(t, err, `"kubelett"`)
}

func buildTestbed(t *testing.T, repository string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, build.All(t.Context(), &out, options(repository)))
	return out.String()
}

func options(repository string) build.Options {
	return build.Options{Repository: repository, Bin: filepath.Join(repository, "bin"), Only: []string{"testbed"}}
}

func run(t *testing.T, repository string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(repository, "bin", "testbed")).Output()
	require.NoError(t, err)
	return string(out)
}

func program(says string) string {
	return "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"" + says + "\") }\n"
}

func write(t *testing.T, dir, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600))
}
