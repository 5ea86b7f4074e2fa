// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kata-node/kata-node/payload/build"
	"github.com/kata-node/kata-node/payload/publish"

	"github.com/kata-node/kata-node/test/bed"
)

// Payload says which variant of the test payload to build.
type Payload struct {
	Version string
	// Fails is the sentence with which its shim refuses to start, empty for one that works.
	Fails string
}

const repository = "kata/payload"

// Push builds a payload, pushes it to the cluster's registry, and returns the name by which nodes pull it.
func (s *Stage) Push(ctx context.Context, p Payload) (string, error) {
	image, err := s.push(ctx, p)
	if err != nil {
		return "", fmt.Errorf("making payload %s: %w", p.Version, err)
	}
	return image, nil
}

func (s *Stage) push(ctx context.Context, p Payload) (string, error) {
	tree, err := s.staged(ctx, p)
	if err != nil {
		return "", err
	}
	description, err := s.describe(p)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(s.Scratch(), "layers-")
	if err != nil {
		return "", err
	}
	built, err := build.Build(ctx, build.Input{Tree: tree, Description: description, WorkDir: work})
	if err != nil {
		return "", err
	}
	target, err := publish.ParseTarget("docker://" + s.Registry + "/" + repository + ":" + p.Version)
	if err != nil {
		return "", err
	}
	published, err := publish.Push(ctx, built.Image, target, publish.Options{SkipTLSVerify: true})
	if err != nil {
		return "", err
	}
	return bed.RegistryName + "/" + repository + "@" + published.Digest, nil
}

// staged lays out the payload's tree with a shim of that version.
func (s *Stage) staged(ctx context.Context, p Payload) (string, error) {
	tree, err := os.MkdirTemp(s.Scratch(), "payload-")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(tree, os.DirFS(s.workspace.Path("test", "payload", "tree"))); err != nil {
		return "", err
	}
	flags := "-s -w -X main.version=" + p.Version
	if p.Fails != "" {
		flags += " -X 'main.fail=" + p.Fails + "'"
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+flags,
		"-o", filepath.Join(tree, "usr", "bin", "containerd-shim-kata-v2"), "./cmd/containerd-shim-kata-v2")
	command.Dir = s.workspace.Path("test")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the shim: %w: %s", err, out)
	}
	return tree, nil
}

func (s *Stage) describe(p Payload) (build.Description, error) {
	text, err := os.ReadFile(s.workspace.Path("test", "payload", "payload.toml"))
	if err != nil {
		return build.Description{}, err
	}
	description, err := build.ParseDescription(text)
	if err != nil {
		return build.Description{}, err
	}
	return description, description.Set("version", p.Version)
}
