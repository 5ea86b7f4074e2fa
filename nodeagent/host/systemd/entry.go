// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"fmt"

	native "github.com/coreos/go-systemd/v22/journal"
)

// Priority is the importance of a journal entry, as syslog(3) numbers it.
type Priority int

// The priorities that the agent uses.
const (
	Critical Priority = Priority(native.PriCrit)
	Failure  Priority = Priority(native.PriErr)
	Warning  Priority = Priority(native.PriWarning)
	Info     Priority = Priority(native.PriInfo)
	Debug    Priority = Priority(native.PriDebug)
)

// Streams reports whether standard error of this process is a stream of the journal: systemd then
// sets JOURNAL_STREAM to its device and inode, and entries with fields may take its place.
func Streams() bool {
	streams, err := native.StderrIsJournalStream()
	return err == nil && streams
}

// Enter writes one journal entry with fields of its own. Their names are upper-case letters, digits
// and underscores. An entry above 200 KiB takes a temporary file.
func Enter(message string, priority Priority, fields map[string]string) error {
	if err := native.Send(message, native.Priority(priority), fields); err != nil {
		return fmt.Errorf("writing to the journal: %w", err)
	}
	return nil
}
