// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ImagePattern is the one form in which images are named, in intents, KataConfigs, flags and
// MachineConfigs: registry[:port]/repository@sha256:digest. No tag decides what a node runs, and no
// transport such as docker:// precedes the name. It is narrower than what image libraries read
// (github.com/distribution/reference), so that what is admitted is pulled.
const ImagePattern = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$`

// image is compiled once: a controller reads thousands of intents.
var image = regexp.MustCompile(ImagePattern)

// ValidateImage returns what makes a name one that no payload can have, or nil. The error names the
// field.
func ValidateImage(field, name string) error {
	if name == "" {
		return fmt.Errorf("%s is empty: name an image as registry/repository@sha256:digest", field)
	}
	if !image.MatchString(name) {
		return fmt.Errorf("%s %q is not an image by digest: name it as registry/repository@sha256:digest", field, name)
	}
	return nil
}

func validateOptionalImage(field, name string) error {
	if name == "" {
		return nil
	}
	return ValidateImage(field, name)
}

// PrefixPattern is the form of a prefix of references: registry[:port][/directory...], with or
// without a slash at its end.
const PrefixPattern = `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9._-]+)*/?$`

var prefixForm = regexp.MustCompile(PrefixPattern)

// ValidatePrefix returns what makes a prefix of references one that no payload can be below, or
// nil.
func ValidatePrefix(prefix string) error {
	if !prefixForm.MatchString(prefix) {
		return fmt.Errorf("%q is not a repository or a directory of them: name one such as registry.example.com/kata/", prefix)
	}
	return nil
}

// PayloadAllowed reports whether a payload is below one of the prefixes of references, by whole
// path components. It is the one rule for controller and agent. Nil prefixes allow every payload,
// and a payload that is not named is always allowed.
func PayloadAllowed(prefixes []string, payload string) bool {
	if payload == "" || prefixes == nil {
		return true
	}
	repository, _, _ := strings.Cut(payload, "@")
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return below(repository, strings.TrimRight(prefix, "/")) })
}

// below is false for another port of the same host: that is another registry.
func below(repository, prefix string) bool {
	return prefix != "" && (repository == prefix || strings.HasPrefix(repository, prefix+"/"))
}

// Digest returns the sha256:hex part of an image that is named by digest, or "".
func Digest(name string) string {
	_, digest, _ := strings.Cut(name, "@")
	return digest
}
