// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// LoadIntent returns the intent that was kept on disk, nil where there is none. One that cannot be
// read, such as after a change of the agent's version, is as good as none: the Node has it too.
func LoadIntent(files host.FileReader) (*node.Intent, error) {
	document, err := files.Read(host.IntentFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no intent is a normal answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kept intent: %w", err)
	}
	kept, err := node.DecodeIntent(string(document))
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // see above
	}
	return &kept, nil
}

// SaveIntent keeps an intent without its grants, which hold for one boot and once.
func SaveIntent(files host.FileWriter, intent node.Intent) error {
	intent.Grants = node.Grants{}
	document, err := intent.Encode()
	if err != nil {
		return err
	}
	return files.Write(host.IntentFile, []byte(document), private)
}

// RemoveIntent forgets the intent.
func RemoveIntent(files host.FileWriter) error { return files.Remove(host.IntentFile) }
