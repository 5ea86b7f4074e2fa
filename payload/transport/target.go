// SPDX-License-Identifier: Apache-2.0

// Package transport writes payload images, and indexes of them, to registries, OCI layouts, OCI
// archives and container stores, by the names that skopeo's users know, and reads them back. What
// it writes appears as a whole or not at all: the name moves last.
package transport

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.podman.io/image/v5/docker/reference"
)

// The kinds of targets, as they begin.
const (
	registryPrefix = "docker://"
	layoutPrefix   = "oci:"
	archivePrefix  = "oci-archive:"
	storagePrefix  = "containers-storage:"
	// refNameForm is the form of org.opencontainers.image.ref.name, as far as a tag of a layout
	// goes.
	refNameForm = `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`
)

func prefixes() []string {
	return []string{registryPrefix, layoutPrefix, archivePrefix, storagePrefix}
}

// Target is an image in one of the places. Make one with ParseTarget.
type Target struct {
	// kind is one of the prefixes.
	kind string
	// place is a repository with its registry, a directory, a file, or a name in a store.
	place string
	// store says which store, in brackets, or is empty for the host's own.
	store string
	// tag and digest may both be empty; an image is written by tag, and read by either.
	tag    string
	digest string
}

// IsTarget tells the name of an image from that of a directory.
func IsTarget(text string) bool {
	return slices.ContainsFunc(prefixes(), func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// ParseTarget reads docker://registry/repository[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG],
// containers-storage:NAME[:TAG], or any of them with @sha256:hex behind it. A repository or name
// without tag or digest means the tag latest; a layout or archive, its one image without a tag.
func ParseTarget(text string) (Target, error) {
	for _, kind := range prefixes() {
		rest, ok := strings.CutPrefix(text, kind)
		if !ok {
			continue
		}
		t := Target{kind: kind}
		if kind == storagePrefix && strings.HasPrefix(rest, "[") {
			end := strings.Index(rest, "]") + 1
			if end == 0 {
				return Target{}, fmt.Errorf("target %q: its store does not end: write %s[DRIVER@ROOT+RUN]NAME", text, kind)
			}
			t.store, rest = rest[:end], rest[end:]
		}
		rest, t.digest, _ = strings.Cut(rest, "@")
		if _, err := v1.NewHash(t.digest); t.digest != "" && err != nil {
			return Target{}, fmt.Errorf("target %q: %q is no digest: write it as sha256:hex", text, t.digest)
		}
		if kind == registryPrefix || kind == storagePrefix {
			return t.withName(text, rest)
		}
		return t.withPath(text, rest)
	}
	return Target{}, fmt.Errorf("target %q: begin it with docker://, oci:, oci-archive: or containers-storage:, as in oci:payload:v1 or docker://registry.example/kata/payload:v1", text)
}

func (t Target) withPath(text, rest string) (Target, error) {
	path, tag, tagged := strings.Cut(rest, ":")
	if path == "" {
		return Target{}, fmt.Errorf("target %q: no path: write %sPATH or %sPATH:TAG", text, t.kind, t.kind)
	}
	if ok, err := regexp.MatchString(refNameForm, tag); tagged && (err != nil || !ok) {
		return Target{}, fmt.Errorf("target %q: %q is no tag: write %sPATH:TAG, with a path that has no colon in its name", text, tag, t.kind)
	}
	t.place, t.tag = filepath.Clean(path), tag
	return t, nil
}

func (t Target) withName(text, rest string) (Target, error) {
	named, err := reference.ParseNormalizedNamed(rest)
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w: write %sNAME or %sNAME:TAG", text, err, t.kind, t.kind)
	}
	t.place = reference.TrimNamed(named).Name()
	if t.digest != "" {
		return t, nil
	}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok {
		t.tag = tagged.Tag()
	}
	return t, nil
}

// String returns the target as ParseTarget reads it.
func (t Target) String() string {
	text := t.kind + t.store + t.place
	if t.tag != "" {
		text += ":" + t.tag
	}
	if t.digest != "" {
		text += "@" + t.digest
	}
	return text
}

// byDigest returns the name that intents and people use: registry/repository@sha256:hex, or that
// with its kind in front where it is in no registry.
func (t Target) byDigest(digest string) string {
	name := t.store + t.place + "@" + digest
	if t.kind == registryPrefix {
		return name
	}
	return t.kind + name
}

// registry returns the host, with its port, of a target in a registry.
func (t Target) registry() string {
	host, _, _ := strings.Cut(t.place, "/")
	return host
}

// named returns the name of an image in a registry or a store, by digest where the target has one.
func (t Target) named() (reference.Named, error) {
	name := t.place
	if t.tag != "" {
		name += ":" + t.tag
	}
	if t.digest != "" {
		name += "@" + t.digest
	}
	return reference.ParseNormalizedNamed(name)
}
