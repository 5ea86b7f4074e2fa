// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Decode reads and validates a document. Unknown fields are allowed, so that an older agent reads
// what a newer builder adds; another version, a second document behind the first, or anything that
// Validate refuses is not.
func Decode(document []byte) (Manifest, error) {
	m, err := decode(document)
	if err != nil {
		return Manifest{}, fmt.Errorf("reading payload manifest: %w", err)
	}
	return m, nil
}

func decode(document []byte) (Manifest, error) {
	if len(document) > MaxSize {
		return Manifest{}, tooLarge(len(document))
	}
	if err := checkVersion(document); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(document))
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("not a manifest document: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, errors.New("more than one JSON document")
	}
	return m, m.Validate()
}

// checkVersion looks at the version alone: the rest of another version's document may have any
// shape.
func checkVersion(document []byte) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.NewDecoder(bytes.NewReader(document)).Decode(&head); err != nil {
		return fmt.Errorf("not a manifest document: %w", err)
	}
	if head.Version != Version {
		return fmt.Errorf("version %d, this program reads %d: use a payload and an agent of the same release", head.Version, Version)
	}
	return nil
}

// Encode writes the document in its one canonical form: equal manifests give equal bytes. It
// refuses what Decode would refuse.
func Encode(m Manifest) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("writing payload manifest: %w", err)
	}
	var document bytes.Buffer
	e := json.NewEncoder(&document)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m.withoutNils()); err != nil {
		return nil, fmt.Errorf("writing payload manifest: %w", err)
	}
	if document.Len() > MaxSize {
		return nil, fmt.Errorf("writing payload manifest of %d files: %w: stage fewer files", len(m.Files), tooLarge(document.Len()))
	}
	return document.Bytes(), nil
}

func tooLarge(size int) error {
	return fmt.Errorf("the document is too large: %d bytes, more than %d", size, MaxSize)
}

// withoutNils returns a copy whose lists are [] rather than null.
func (m Manifest) withoutNils() Manifest {
	m.Handlers = append([]Handler{}, m.Handlers...)
	m.Components = append([]Component{}, m.Components...)
	m.Files = append([]File{}, m.Files...)
	for i := range m.Components {
		m.Components[i].Paths = append([]string{}, m.Components[i].Paths...)
	}
	return m
}

// Digest returns the identity of an encoded document, as Label carries it: sha256:hex.
func Digest(document []byte) string {
	sum := sha256.Sum256(document)
	return "sha256:" + hex.EncodeToString(sum[:])
}
