// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"regexp"
	"strings"
)

// imageByDigest is the form in which intents name images: no tag decides what a node runs.
const imageByDigest = `^[a-z0-9][a-z0-9.:_/-]*/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$`

func validateImage(field, image string) error {
	if image == "" {
		return fmt.Errorf("%s is empty: name an image as registry/repository@sha256:digest", field)
	}
	if ok, err := regexp.MatchString(imageByDigest, image); err != nil || !ok {
		return fmt.Errorf("%s %q is not an image by digest: name it as registry/repository@sha256:digest", field, image)
	}
	return nil
}

func validateOptionalImage(field, image string) error {
	if image == "" {
		return nil
	}
	return validateImage(field, image)
}

// Digest returns the sha256:hex part of an image that is named by digest, or "".
func Digest(image string) string {
	_, digest, _ := strings.Cut(image, "@")
	return digest
}
