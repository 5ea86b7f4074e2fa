// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
)

// maxField bounds each text of a line, in bytes. The journal has more of an error than the report,
// but not the whole page that a proxy answered with: it splits lines beyond 48 KiB.
const maxField = 4 << 10

// bounded shortens texts before they are logged. The formatter writes line breaks and control
// characters as escapes.
type bounded struct{}

func (bounded) Levels() []logrus.Level { return logrus.AllLevels }

func (bounded) Fire(e *logrus.Entry) error {
	e.Message = node.Shorten(e.Message, maxField)
	for key, value := range e.Data {
		if text := fmt.Sprint(value); len(text) > maxField {
			e.Data[key] = node.Shorten(text, maxField)
		}
	}
	return nil
}
