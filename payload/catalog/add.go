// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Add returns the document with one more entry at the end of its list. Order and comments stay;
// empty lines between entries and the style of quotes do not, since the library that writes YAML
// keeps neither. The result is checked as Parse does, so that an entry whose range overlaps is
// refused; one that closes a gap of the document is not. An empty document becomes a new one.
func Add(text []byte, e Entry) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = fmt.Appendf(nil, "format: %d\npayloads: []\n", Format)
	}
	root, err := tree(text)
	if err != nil {
		return nil, fmt.Errorf("reading catalogue: %w", err)
	}
	list := payloads(root)
	if list == nil {
		return nil, errors.New("reading catalogue: it has no list payloads: begin with the keys format and payloads")
	}
	var item yaml.Node
	if err := item.Encode(e); err != nil {
		return nil, fmt.Errorf("writing entry: %w", err)
	}
	list.Content, list.Style = append(list.Content, &item), 0
	out, err := write(root)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(out); err != nil {
		return nil, err
	}
	return out, nil
}
