// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// images is what CRI-O's configuration says about images. Of a key that several files have, the
// last one counts.
type images struct {
	CRIO struct {
		Root  *string `toml:"root"`
		Image struct {
			Policy *string `toml:"signature_policy"`
		} `toml:"image"`
	} `toml:"crio"`
}

// SignaturePolicy returns the file by which CRI-O decides which images may be used, empty where
// neither its options nor its configuration name one. A file that cannot be read may name another
// one, and is an error.
func SignaturePolicy(files []File, options Options) (string, error) {
	return last(files, options.policy, func(i images) *string { return i.CRIO.Image.Policy })
}

// ImageRoot returns the directory in which CRI-O keeps images, empty where neither its options nor
// its configuration name one: it is that of containers-storage.conf(5) then.
func ImageRoot(files []File, options Options) (string, error) {
	return last(files, options.root, func(i images) *string { return i.CRIO.Root })
}

// last returns what an option says, else the last file that says it.
func last(files []File, option string, of func(images) *string) (string, error) {
	if option != "" {
		return option, nil
	}
	value := ""
	for _, f := range files {
		var i images
		err := f.Err
		if err == nil {
			err = toml.Unmarshal(f.Content, &i)
		}
		if err != nil {
			return "", fmt.Errorf("reading the configuration of CRI-O, %s: %w", f.Path, err)
		}
		if said := of(i); said != nil {
			value = *said
		}
	}
	return value, nil
}

// GraphRoot returns where a file in the form of containers-storage.conf(5) keeps images, empty
// where it does not say it.
func GraphRoot(content []byte) (string, error) {
	var t struct {
		Storage struct {
			GraphRoot string `toml:"graphroot"`
		} `toml:"storage"`
	}
	if err := toml.Unmarshal(content, &t); err != nil {
		return "", fmt.Errorf("reading the configuration of storages: %w", err)
	}
	return t.Storage.GraphRoot, nil
}
