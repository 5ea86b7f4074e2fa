// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/profile"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/kata-node/kata-node/payload/source/fetch"
	"github.com/kata-node/kata-node/payload/stage"
)

// listedLeftOut is how many of the files that stay out are printed by name.
const listedLeftOut = 8

type sourcesFlags struct {
	file, profile, cache string
	architectures        []string
}

func (s *sourcesFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&s.file, "sources", "", "`FILE` that declares the sources (TOML), such as payload/sources.toml")
	names, err := profile.Names()
	flags.StringVar(&s.profile, "profile", profile.Default, "`NAME` of what gets from the sources into the payload: "+cmp.Or(strings.Join(names, ", "), fmt.Sprint(err)))
	flags.StringSliceVar(&s.architectures, "architecture", []string{runtime.GOARCH}, "`LIST` of architectures of the payload, such as amd64,arm64 (default: this machine's)")
	flags.Lookup("architecture").DefValue = "[]" // manual pages are the same on every machine
	flags.StringVar(&s.cache, "cache", "", "`DIR` for downloads (default: kata-payload in the user's cache directory)")
}

// stage makes a directory below work from the sources, and prints what is in it and what is not.
func (s *sourcesFlags) stage(ctx context.Context, work, architecture string, progress io.Writer) (tree string, d assemble.Description, materials []stage.Material, err error) {
	text, err := os.ReadFile(filepath.Clean(s.file))
	if err != nil {
		return "", d, nil, fmt.Errorf("reading sources: %w", err)
	}
	sources, err := source.Parse(text)
	if err != nil {
		return "", d, nil, fmt.Errorf("%s: %w", s.file, err)
	}
	tree = filepath.Join(work, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return "", d, nil, fmt.Errorf("making a directory for the staged files: %w", err)
	}
	cache, err := s.cacheDir()
	if err != nil {
		return "", d, nil, err
	}
	shown := display(progress, "downloading")
	staged, err := stage.Build(ctx, stage.Input{
		Sources: sources, Dir: filepath.Dir(s.file), Profile: s.profile, Architecture: architecture, Tree: tree,
		Cache: fetch.Cache{Dir: cache, Progress: downloads(shown)}, Limits: archive.DefaultLimits(),
	})
	shown.Close()
	if err != nil {
		return "", d, nil, err
	}
	return tree, staged.Description, staged.Materials, printContents(progress, staged.Contents)
}

func (s *sourcesFlags) cacheDir() (string, error) {
	if s.cache != "" {
		return s.cache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache directory: %w: name another one with --cache", err)
	}
	return filepath.Join(dir, "kata-payload"), nil
}

// repeated returns the first word that is there before, or nothing.
func repeated(words []string) string {
	for i, word := range words {
		if slices.Contains(words[:i], word) {
			return word
		}
	}
	return ""
}

func size(bytes int64) string { return units.HumanSize(float64(bytes)) }

// printContents prints a table of what is in the payload, and of the largest files that are not.
func printContents(out io.Writer, c stage.Contents) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var total int64
	for _, p := range c.Components {
		fmt.Fprintf(w, "in\t%s\t%s\t%d files\t%s\n", p.Name, p.Version, p.Files, size(p.Size))
		total += p.Size
	}
	fmt.Fprintf(w, "in\tall\t\t\t%s\n", size(total))
	var rest, left int64
	for i, f := range c.LeftOut {
		if left += f.Size; i < listedLeftOut {
			fmt.Fprintf(w, "left out\t%s\t%s\t\t%s\n", f.Path, f.Archive, size(f.Size))
		} else {
			rest += f.Size
		}
	}
	if more := len(c.LeftOut) - listedLeftOut; more > 0 {
		fmt.Fprintf(w, "left out\tothers\t\t%d files\t%s\n", more, size(rest))
	}
	fmt.Fprintf(w, "left out\tall\t\t\t%s\n", size(left))
	return w.Flush()
}
