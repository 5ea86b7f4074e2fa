// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kata-node/kata-node/test/bed/progress"
)

const acceptAnything = `{"default": [{"type": "insecureAcceptAnything"}]}`

// Store returns a directory with the images in the form of containers/storage's overlay driver.
// CRI-O takes it as an additional, read-only image store and needs no registry for what is in it.
// The first call makes it below dir; later ones find it there.
func (s Set) Store(ctx context.Context, dir string, out io.Writer) (string, error) {
	key, err := s.key()
	if err != nil {
		return "", fmt.Errorf("making image store: %w", err)
	}
	store := filepath.Join(dir, "images-"+key)
	if _, err := os.Stat(store); err == nil {
		return store, nil
	}
	work, err := os.MkdirTemp(dir, "images-unfinished-")
	if err != nil {
		return "", fmt.Errorf("making image store: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // A store of its own; the next one is made elsewhere.
	if err := s.unpack(ctx, work, out); err != nil {
		return "", fmt.Errorf("making image store: %w", err)
	}
	err = os.Rename(filepath.Join(work, "store"), store)
	if _, missing := os.Stat(store); missing == nil {
		return store, nil // Also when another process was first.
	}
	return "", fmt.Errorf("making image store: %w", err)
}

// unpack leaves the making of the store to buildah, which has the same storage library as CRI-O.
func (s Set) unpack(ctx context.Context, work string, out io.Writer) error {
	archive, policy := filepath.Join(work, "images.tar"), filepath.Join(work, "policy.json")
	images := map[name.Tag]v1.Image{}
	for named, image := range s {
		tag, err := name.NewTag(named)
		if err != nil {
			return err
		}
		images[tag] = image
	}
	if err := tarball.MultiWriteToFile(archive, images); err != nil {
		return err
	}
	if err := os.WriteFile(policy, []byte(acceptAnything), 0o600); err != nil {
		return err
	}
	for _, named := range slices.Sorted(maps.Keys(s)) {
		buildah := exec.CommandContext(ctx, "buildah", "--root", filepath.Join(work, "store"), "--runroot", filepath.Join(work, "run"),
			"--storage-driver", "overlay", "--storage-opt", "overlay.skip_mount_home=true",
			"pull", "--quiet", "--signature-policy", policy, "docker-archive:"+archive+":"+named)
		if err := progress.Run(ctx, out, "storing "+named+" for nodes", buildah); err != nil {
			return err
		}
	}
	return nil
}

// key stands for the names and the contents.
func (s Set) key() (string, error) {
	hash := sha256.New()
	for _, named := range slices.Sorted(maps.Keys(s)) {
		digest, err := s[named].Digest()
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, named, digest)
	}
	return hex.EncodeToString(hash.Sum(nil)[:6]), nil
}
