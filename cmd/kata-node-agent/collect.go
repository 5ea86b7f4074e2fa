// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/nodeagent/bundle"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/settings"
)

func collectCommand(root *string) *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use: "collect", Short: "Write an archive for whoever looks into a problem of this node, without secrets", Args: cobra.NoArgs,
		Long: `Write an archive (tar, gzip) with what this node serves and wants, the host check, records,
configuration of agent and CRI-O, mounts, processes, sandboxes and journals.

It asks no API server and changes nothing. What cannot be read is named in the archive. Pull secret,
kubeconfig and keys are not in it; their content, and what looks like a secret, is removed from
everything else. Look into it before you send it away all the same.`,
		RunE: func(c *cobra.Command, _ []string) error {
			now := time.Now().UTC()
			if output == "-" {
				return collect(c.Context(), *root, c.OutOrStdout(), now, bundle.Patience)
			}
			if output == "" {
				output = archiveName(now)
			}
			file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			if err := errors.Join(collect(c.Context(), *root, file, now, bundle.Patience), file.Close()); err != nil {
				return err
			}
			return say(c.OutOrStdout(), "written: %s\n", output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", output, "where to write it; - is the standard output, and the default a new file in the working directory")
	return c
}

func archiveName(now time.Time) string {
	name, err := os.Hostname()
	if err != nil {
		name = "node"
	}
	return fmt.Sprintf("kata-node-agent-%s-%s.tar.gz", name, now.Format("20060102T150405Z"))
}

// collect writes the archive. Settings that cannot be read cost what depends on them.
func collect(ctx context.Context, root string, out io.Writer, now time.Time, patience time.Duration) error {
	tree := files.Below(root)
	hidden, err := secrets(ctx, tree, patience)
	b := bundle.New(out, bundle.NewScrubber(hidden...), now, patience)
	sources := []part{{"about.txt", about(now)}}
	if err != nil {
		sources = append(sources, part{"secrets", failing(err)})
	}
	w, err := wire(root)
	if err != nil {
		sources = append(sources, part{"settings", failing(err)})
	} else {
		defer w.cri.Close() //nolint:errcheck // Nothing was written.
		sources = append(sources, w.parts()...)
	}
	for _, p := range slices.Concat(sources, journals(), kept(ctx, tree, patience)) {
		if err := b.Gather(ctx, p.name, p.source); err != nil {
			return err
		}
	}
	return b.Close()
}

// part is one file of the archive.
type part struct {
	name   string
	source func(ctx context.Context) ([]byte, error)
}

func failing(err error) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return nil, err }
}

// secrets are the files whose content must not be in an archive. The error names those that are
// there and could not be read: their content is left out only where it looks like a secret.
func secrets(ctx context.Context, tree files.Tree, patience time.Duration) (documents [][]byte, failed error) {
	places := []string{"/root/.docker/config.json", "/root/.config/containers/auth.json", "/run/containers/0/auth.json", "/var/lib/kubelet/config.json", "/var/lib/kubelet/kubeconfig"}
	if s, err := settings.Load(tree); err == nil {
		places = append(places, s.PullSecret, s.Kubeconfig)
	}
	slices.Sort(places)
	for _, place := range slices.Compact(places) {
		content, err := bundle.Within(ctx, patience, func(context.Context) ([]byte, error) { return tree.Read(place) })
		switch {
		case err == nil:
			documents = append(documents, content)
		case !errors.Is(err, fs.ErrNotExist):
			failed = errors.Join(failed, fmt.Errorf("reading %s: %w", place, err))
		}
	}
	return documents, failed
}
