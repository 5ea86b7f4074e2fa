// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// maxHops is how many symbolic links Linux follows in one path (path_resolution(7)).
const maxHops = 40

// Resolve follows symbolic links as the kernel would below the image's root, and returns the
// regular file that a path leads to. It refuses loops, links that leave the image, and paths that
// lead to no regular file.
func (m Manifest) Resolve(file string) (File, error) {
	end, err := m.Follow(file)
	if err != nil {
		return File{}, err
	}
	f, found := m.File(end)
	if !found {
		return File{}, fmt.Errorf("%s is not a file of the payload", end)
	}
	return f, nil
}

// Follow returns the path without links that a path leads to. What does not exist is taken for a
// directory: a link may lead nowhere, but not out of the image.
func (m Manifest) Follow(file string) (string, error) {
	at, rest := ".", strings.Split(file, "/")
	for hops := 0; len(rest) > 0; {
		if rest[0] == ".." && at == "." {
			return "", errors.New("leaves the payload")
		}
		next := path.Join(at, rest[0])
		rest = rest[1:]
		f, found := m.File(next)
		if !found || f.Link == "" {
			at = next
			continue
		}
		if hops++; hops > maxHops {
			return "", fmt.Errorf("more than %d symbolic links behind each other", maxHops)
		}
		rest = append(strings.Split(f.Link, "/"), rest...)
	}
	return at, nil
}
