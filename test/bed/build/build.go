// SPDX-License-Identifier: Apache-2.0

// Package build builds the programs that a test cluster consists of into one directory. It leaves
// to the go command what is out of date, except for the large programs, which it does not even look
// at while their sources are the same.
package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/test/bed/progress"
)

// Options of [All].
type Options struct {
	// Repository is the root of the checkout.
	Repository string
	// Bin is where the programs go.
	Bin string
	// Only builds the named programs; empty means every one.
	Only []string
	// Race builds our own programs, and no others, with the race detector. They then need a C
	// library at run time.
	Race bool
}

// All builds the programs one after the other, and says so in out. While another test program
// builds, it waits for those programs only that are not known to be up to date.
func All(ctx context.Context, out io.Writer, options Options) error {
	if err := os.MkdirAll(options.Bin, 0o755); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	programs := Programs()
	for _, name := range options.Only {
		if !slices.ContainsFunc(programs, func(p Program) bool { return p.Name == name }) {
			return fmt.Errorf("building %q: there is no program of that name", name)
		}
	}
	for _, program := range programs {
		if len(options.Only) == 0 || slices.Contains(options.Only, program.Name) {
			if err := program.build(ctx, out, options); err != nil {
				return err
			}
		}
	}
	return nil
}

// Path is where the named program is built. What exists with and without the race detector is there
// twice, the others once.
func Path(bin, name string, race bool) string {
	product := slices.ContainsFunc(Programs(), func(p Program) bool { return p.Name == name && p.Product })
	if race && product {
		return filepath.Join(bin, "race", name)
	}
	return filepath.Join(bin, name)
}

// build builds one program unless it is known to be up to date.
func (p Program) build(ctx context.Context, out io.Writer, options Options) error {
	target := Path(options.Bin, p.Name, options.Race)
	key, err := p.key(options.Repository)
	if err != nil {
		return fmt.Errorf("building %s: %w", p.Name, err)
	}
	if upToDate(target, key) {
		return nil
	}
	unlock, err := lock(filepath.Join(options.Bin, "build.lock"))
	if err != nil {
		return fmt.Errorf("building %s: %w", p.Name, err)
	}
	defer unlock()
	if upToDate(target, key) { // Another test program was first.
		return nil
	}
	command, err := p.command(ctx, target, options)
	if err != nil {
		return fmt.Errorf("building %s: %w", p.Name, err)
	}
	if err := progress.Run(ctx, out, "building "+p.Name+p.Note, command); err != nil {
		return err
	}
	return remember(target, key)
}

// command makes the program at target.
func (p Program) command(ctx context.Context, target string, options Options) (*exec.Cmd, error) {
	dir := filepath.Join(options.Repository, p.Module)
	if p.CSources != "" {
		return p.compileC(ctx, dir, target)
	}
	args := append([]string{"build", "-v", "-buildvcs=false", "-o", target}, p.flags(options.Race)...)
	command := exec.CommandContext(ctx, "go", append(args, p.Package)...)
	command.Dir = dir
	command.Env = append(os.Environ(), p.environment(options.Race)...)
	return command, nil
}

// compileC makes a static program from the C files of a Go module that the module in dir requires.
func (p Program) compileC(ctx context.Context, dir, target string) (*exec.Cmd, error) {
	module, sources, _ := strings.Cut(p.CSources, "//")
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", module)
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("finding module %s: %w", module, err)
	}
	version, root, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	files, err := filepath.Glob(filepath.Join(root, sources))
	if err != nil {
		return nil, err
	}
	args := []string{"-O2", "-static", fmt.Sprintf("-DVERSION=%q", strings.TrimPrefix(version, "v")), "-o", target}
	return exec.CommandContext(ctx, "gcc", append(args, files...)...), nil
}

func (p Program) flags(race bool) []string {
	var flags []string
	if race && p.Product {
		flags = append(flags, "-race")
	} else {
		flags = append(flags, "-ldflags=-s -w "+p.LDFlags)
	}
	if len(p.Tags) > 0 {
		flags = append(flags, "-tags="+strings.Join(p.Tags, ","))
	}
	return flags
}

func (p Program) environment(race bool) []string {
	if p.CGO || race && p.Product {
		return []string{"CGO_ENABLED=1"}
	}
	return []string{"CGO_ENABLED=0"}
}

// upToDate is true when target was built from what key stands for.
func upToDate(target, key string) bool {
	built, err := os.ReadFile(target + ".key")
	if err != nil || key == "" || string(built) != key {
		return false
	}
	_, err = os.Stat(target)
	return err == nil
}

func remember(target, key string) error {
	if key == "" {
		return nil
	}
	return os.WriteFile(target+".key", []byte(key), 0o600)
}

// lock keeps test programs that run at the same time from building the same.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
