// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
				return collect(c.Context(), *root, c.OutOrStdout(), now)
			}
			if output == "" {
				output = archiveName(now)
			}
			file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			if err := errors.Join(collect(c.Context(), *root, file, now), file.Close()); err != nil {
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
func collect(ctx context.Context, root string, out io.Writer, now time.Time) error {
	tree := files.Below(root)
	b := bundle.New(out, bundle.NewScrubber(secrets(tree)...), now)
	sources := []part{{"about.txt", about(now)}}
	w, err := wire(root)
	if err != nil {
		sources = append(sources, part{"settings", failing(err)})
	} else {
		defer w.cri.Close() //nolint:errcheck // Nothing was written.
		sources = append(sources, w.parts()...)
	}
	sources = append(sources, journals()...)
	for _, p := range sources {
		if err := b.Gather(ctx, p.name, p.source); err != nil {
			return err
		}
	}
	for _, p := range kept(tree) {
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

// secrets are the files whose content must not be in an archive.
func secrets(tree files.Tree) (documents [][]byte) {
	places := []string{"/root/.docker/config.json", "/root/.config/containers/auth.json", "/run/containers/0/auth.json", "/var/lib/kubelet/config.json", "/var/lib/kubelet/kubeconfig"}
	if s, err := settings.Load(tree); err == nil {
		places = append(places, s.PullSecret, s.Kubeconfig)
	}
	for _, place := range places {
		if content, err := tree.Read(place); err == nil {
			documents = append(documents, content)
		}
	}
	return documents
}
