// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDocument is far above what either side writes and keeps a hostile annotation from costing
// memory.
const maxDocument = 16 << 10

// decode reads one JSON document. Unknown fields are allowed, so that neighbouring versions
// understand each other; trailing text is not.
func decode(document string, into any) error {
	if len(document) > maxDocument {
		return fmt.Errorf("%d bytes, more than %d", len(document), maxDocument)
	}
	d := json.NewDecoder(strings.NewReader(document))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("not a JSON document: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON document")
	}
	return nil
}
