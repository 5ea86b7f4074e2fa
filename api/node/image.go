// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"regexp"
	"strings"
)

// ImagePattern is the one form in which images are named, in intents, KataConfigs, flags and
// MachineConfigs: registry[:port]/repository@sha256:digest. No tag decides what a node runs, and no
// transport such as docker:// precedes the name. It is narrower than what image libraries read
// (github.com/distribution/reference), so that what is admitted is pulled.
const ImagePattern = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$`

// image is compiled once: a controller reads thousands of intents.
var image = regexp.MustCompile(ImagePattern)

func validateImage(field, name string) error {
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
	return validateImage(field, name)
}

// Digest returns the sha256:hex part of an image that is named by digest, or "".
func Digest(name string) string {
	_, digest, _ := strings.Cut(name, "@")
	return digest
}
