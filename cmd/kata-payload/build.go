// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/stage"
	"github.com/kata-node/kata-node/payload/transport"
)

type buildFlags struct {
	from, describe, to string
	compression        string
	set                []string
	sources            sourcesFlags
	registry           registryFlags
	sign               signFlags
	attest             bool
}

func newBuild() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build {--sources FILE [--profile NAME] | --from DIR --describe FILE} --to TARGET",
		Short: "Build an image from sources or a staged directory, publish it, and print its name by digest",
		Long: `Build an image, publish it, and print its name by digest as the last line.

With --sources, the file declares upstream's archives, RPM sets and directories with their digests, and the profile says what
of them gets into the payload. Several architectures make an index of one image each. With --from, a directory is the root of
the image, and --describe says what it is.

The same content gives the same digest, whatever the machine, umask or clock. SOURCE_DATE_EPOCH is the image's
time of creation (seconds; default 0); all files in it have the time 0.`,
		Example: "  kata-payload build --sources payload/sources.toml --profile minimal --architecture amd64,arm64 --to oci:payload:v1\n" +
			"  kata-payload build --from stage --describe payload.toml --to oci:payload:v1\n" +
			"  kata-payload build --from stage --describe payload.toml --set version=2.0.0 --to docker://registry.example/kata/payload:2.0.0",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "`DIR` that is staged as the root of the image")
	flags.StringVar(&f.describe, "describe", "", "`FILE` with the description of that directory (TOML)")
	flags.StringVar(&f.to, "to", "", "`TARGET` of the image: docker://, oci:, oci-archive: or containers-storage: with a name behind it")
	flags.StringArrayVar(&f.set, "set", nil, "override a key of the description, `KEY=VALUE` as in version=2.0.0 (repeatable)")
	f.sources.add(flags)
	flags.BoolVar(&f.attest, "attest", true, "attach a bill of materials (SPDX) and the provenance (SLSA) to the image")
	flags.StringVar(&f.compression, "compression", string(assemble.ZstdChunked), "`NAME` of the layers' compression: zstd:chunked, or gzip for registries that know no zstd")
	f.registry.add(flags)
	f.sign.add(flags)
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("to", completeImages(1)))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("profile", completeProfiles))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("architecture", completeList(architectures())))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("compression", completeCompressions()))
	cobra.CheckErr(cmd.MarkFlagDirname("from"))
	cobra.CheckErr(cmd.MarkFlagRequired("to"))
	cmd.MarkFlagsOneRequired("sources", "from")
	cmd.MarkFlagsMutuallyExclusive("sources", "from")
	cmd.MarkFlagsMutuallyExclusive("architecture", "from")
	cmd.MarkFlagsMutuallyExclusive("profile", "from")
	cmd.MarkFlagsRequiredTogether("from", "describe")
	return cmd
}

func (f *buildFlags) run(ctx context.Context, out, progress io.Writer) (err error) {
	target, err := transport.ParseTarget(f.to)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kata-payload-")
	if err != nil {
		return fmt.Errorf("making a directory for the layers: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	images, err := f.build(ctx, work, progress)
	if err != nil {
		return err
	}
	content, err := oneOrIndex(images)
	if err != nil {
		return err
	}
	o, err := f.options(images, target, progress)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "publishing to %s\n", target)
	shown := display(progress, "copying")
	o.Progress = blobs(shown, layerNames(images))
	published, err := transport.Push(ctx, content, target, o)
	shown.Close()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, published.Name)
	return err
}

// layerNames maps digests of layers to words. Layers of several architectures have theirs in them.
func layerNames(images []built) map[string]string {
	names := map[string]string{}
	for _, b := range images {
		for _, l := range b.Layers {
			names[l.Digest] = l.Component
			if len(images) > 1 {
				names[l.Digest] += " (" + b.Manifest.Architecture + ")"
			}
		}
	}
	return names
}

// built is an image, and the sources of which it was made.
type built struct {
	assemble.Payload

	materials []stage.Material
}

// build builds an image for each architecture that is asked for.
func (f *buildFlags) build(ctx context.Context, work string, progress io.Writer) ([]built, error) {
	if twice := repeated(f.sources.architectures); twice != "" {
		return nil, fmt.Errorf("--architecture names %s twice", twice)
	}
	var images []built
	for _, architecture := range f.sources.architectures {
		in, materials, err := f.input(ctx, filepath.Join(work, architecture), architecture, progress)
		if err != nil {
			return nil, err
		}
		shown := display(progress, "compressing")
		in.Progress = layers(shown)
		p, err := assemble.Build(ctx, in)
		shown.Close()
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(progress, table(p.Layers)); err != nil {
			return nil, err
		}
		images = append(images, built{p, materials})
	}
	if slices.ContainsFunc(images, func(b built) bool { return b.Manifest.LeavesKernel() }) {
		fmt.Fprintln(progress, "note:", manifest.KernelLeft)
	}
	return images, nil
}

// oneOrIndex returns what is published: an image as it is, or several in an index.
func oneOrIndex(images []built) (transport.Content, error) {
	if len(images) == 1 {
		return images[0].Image, nil
	}
	var all []v1.Image
	for _, b := range images {
		all = append(all, b.Image)
	}
	return transport.Index(all...)
}

func table(layers []assemble.Layer) string {
	var lines []string
	for _, l := range layers {
		lines = append(lines, fmt.Sprintf("layer %-12s %10s  %s\n", l.Component, units.HumanSize(float64(l.Size)), l.Digest))
	}
	return strings.Join(lines, "")
}

// input says what to build, and of which sources. What has to be staged for that is staged below
// work.
func (f *buildFlags) input(ctx context.Context, work, architecture string, progress io.Writer) (in assemble.Input, materials []stage.Material, err error) {
	if err := os.Mkdir(work, 0o755); err != nil {
		return assemble.Input{}, nil, fmt.Errorf("making a directory for the layers: %w", err)
	}
	in.Tree, in.WorkDir = f.from, work
	if f.from == "" {
		in.Tree, in.Description, materials, err = f.sources.stage(ctx, work, architecture, progress)
	} else {
		in.Description, err = readDescription(f.describe)
	}
	if err != nil {
		return assemble.Input{}, nil, err
	}
	for _, assignment := range f.set {
		key, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return assemble.Input{}, nil, fmt.Errorf("--set %q: write it as key=value", assignment)
		}
		if err := in.Description.Set(key, value); err != nil {
			return assemble.Input{}, nil, err
		}
	}
	if in.Compression, err = assemble.ParseCompression(f.compression); err != nil {
		return assemble.Input{}, nil, err
	}
	in.Time, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	return in, materials, err
}

func readDescription(name string) (assemble.Description, error) {
	text, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return assemble.Description{}, fmt.Errorf("reading description: %w", err)
	}
	d, err := assemble.ParseDescription(text)
	if err != nil {
		return assemble.Description{}, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// sourceDate reads SOURCE_DATE_EPOCH (reproducible-builds.org): seconds since 1970.
func sourceDate(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: must be a number of seconds since 1970", text)
	}
	return time.Unix(seconds, 0), nil
}
