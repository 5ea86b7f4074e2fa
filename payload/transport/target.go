// SPDX-License-Identifier: Apache-2.0

// Package transport writes payload images to registries and OCI layouts, by the names that skopeo's
// users know, and reads them back. What it writes appears as a whole or not at all: the name moves
// last.
package transport

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	layoutPrefix   = "oci:"
	registryPrefix = "docker://"
	// refNameForm is the form of org.opencontainers.image.ref.name, as far as a tag of a layout
	// goes.
	refNameForm = `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`
)

// Target is an image in a registry or an OCI layout. Make one with ParseTarget.
type Target struct {
	// layout is the directory of an OCI layout, or empty for a registry.
	layout     string
	repository string
	// tag and digest may both be empty; an image is written by tag, and read by either.
	tag    string
	digest string
}

// ParseTarget reads oci:DIR[:TAG], docker://registry/repository[:TAG], or either with @sha256:hex
// behind it. A registry's repository without tag or digest means the tag latest, a layout's means
// its one image without a tag.
func ParseTarget(text string) (Target, error) {
	rest, digest, _ := strings.Cut(text, "@")
	if _, err := v1.NewHash(digest); digest != "" && err != nil {
		return Target{}, fmt.Errorf("target %q: %q is no digest: write it as sha256:hex", text, digest)
	}
	switch {
	case strings.HasPrefix(rest, layoutPrefix):
		return parseLayout(text, strings.TrimPrefix(rest, layoutPrefix), digest)
	case strings.HasPrefix(rest, registryPrefix):
		return parseRegistry(text, strings.TrimPrefix(rest, registryPrefix), digest)
	default:
		return Target{}, fmt.Errorf("target %q: begin it with oci: or docker://, as in oci:payload:v1 or docker://registry.example/kata/payload:v1", text)
	}
}

func parseLayout(text, rest, digest string) (Target, error) {
	dir, tag, tagged := strings.Cut(rest, ":")
	if dir == "" {
		return Target{}, fmt.Errorf("target %q: no directory: write oci:DIR or oci:DIR:TAG", text)
	}
	if ok, err := regexp.MatchString(refNameForm, tag); tagged && (err != nil || !ok) {
		return Target{}, fmt.Errorf("target %q: %q is no tag: write oci:DIR:TAG, with a directory that has no colon in its name", text, tag)
	}
	return Target{layout: filepath.Clean(dir), tag: tag, digest: digest}, nil
}

func parseRegistry(text, rest, digest string) (Target, error) {
	if digest != "" {
		ref, err := name.NewDigest(rest + "@" + digest)
		if err != nil {
			return Target{}, fmt.Errorf("target %q: %w", text, err)
		}
		return Target{repository: ref.Context().Name(), digest: digest}, nil
	}
	ref, err := name.NewTag(rest)
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w", text, err)
	}
	return Target{repository: ref.Context().Name(), tag: ref.TagStr()}, nil
}

// String returns the target as ParseTarget reads it.
func (t Target) String() string {
	text := registryPrefix + t.repository
	if t.layout != "" {
		text = layoutPrefix + t.layout
	}
	if t.tag != "" {
		text += ":" + t.tag
	}
	if t.digest != "" {
		text += "@" + t.digest
	}
	return text
}

// byDigest returns the name that intents and people use: registry/repository@sha256:hex, or
// oci:DIR@sha256:hex.
func (t Target) byDigest(digest string) string {
	if t.layout != "" {
		return layoutPrefix + t.layout + "@" + digest
	}
	return t.repository + "@" + digest
}
