// SPDX-License-Identifier: Apache-2.0

package damage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/damage"
	"github.com/kata-node/kata-node/payload/inspect"
)

func TestWhatIsDamageAndWhatPasses(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&inspect.Mismatch{Path: "usr/bin/shim", Problem: "sha256 is wrong"}, unix.EIO, unix.EUCLEAN, unix.EBADMSG, unix.ENOENT, fs.ErrNotExist,
	} {
		assert.True(t, damage.Is(fmt.Errorf("verifying payload: %w", &fs.PathError{Op: "read", Path: "x", Err: err})), "%v", err)
	}
	for _, err := range []error{
		nil, unix.ENOSPC, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EINTR, unix.EBUSY, unix.EACCES, context.Canceled, context.DeadlineExceeded, errors.New("x"),
	} {
		assert.False(t, damage.Is(err), "%v", err)
	}
}
