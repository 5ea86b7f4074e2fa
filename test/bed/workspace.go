// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kata-node/kata-node/test/bed/build"
)

// module is the first line of the go.mod at the root of the repository.
const module = "module github.com/kata-node/kata-node\n"

// Workspace is the checkout that a test or demo runs from. Everything made in it goes below its
// folder .cache.
type Workspace struct {
	// Root of the checkout.
	Root string
}

// FindWorkspace looks for the checkout from the working directory upwards.
func FindWorkspace() (Workspace, error) {
	start, err := os.Getwd()
	if err != nil {
		return Workspace{}, fmt.Errorf("looking for the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), module) {
			return Workspace{Root: dir}, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return Workspace{}, fmt.Errorf("looking for the repository: %w", err)
		}
		if dir == filepath.Dir(dir) {
			return Workspace{}, fmt.Errorf("looking for the repository: %s is not in a checkout of it; change into one", start)
		}
	}
}

// Path is a path in the checkout.
func (w Workspace) Path(elements ...string) string {
	return filepath.Join(append([]string{w.Root}, elements...)...)
}

func (w Workspace) cache() string    { return w.Path(".cache", "bed") }
func (w Workspace) machines() string { return w.Path(".cache", "bed", "machines") }

// Programs is where built programs are.
type Programs struct {
	bin  string
	race bool
}

// Path is the file of one program, such as "crio".
func (p Programs) Path(name string) string { return build.Path(p.bin, name, p.race) }

// BuildOptions say what to build.
type BuildOptions struct {
	// Race builds our own programs with the race detector.
	Race bool
	// Only names the programs to build; empty means all.
	Only []string
}

// Build builds the programs of a test cluster, writes lines of progress to out, and is quick when
// nothing changed.
func (w Workspace) Build(ctx context.Context, out io.Writer, options BuildOptions) (Programs, error) {
	bin := w.Path(".cache", "bin")
	err := build.All(ctx, out, build.Options{Repository: w.Root, Bin: bin, Only: options.Only, Race: options.Race})
	return Programs{bin: bin, race: options.Race}, err
}
