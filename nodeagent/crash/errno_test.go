// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
)

func errnos() []unix.Errno {
	return []unix.Errno{
		unix.ENOSPC, unix.EIO, unix.EROFS, unix.EDQUOT, unix.EMFILE, unix.ENOMEM, unix.EBUSY,
		unix.EACCES, unix.EPERM, unix.ENOENT, unix.EINTR, unix.ETIMEDOUT, unix.ELOOP, unix.ESTALE,
	}
}

// class is what changes have in common that differ in a slot, an image or a sandbox.
type class struct {
	kind seam.Kind
	// file is the path of a change of files, and the unit of a service.
	file string
}

var (
	slotName  = regexp.MustCompile(`[0-9a-f]{16}`)
	proofName = regexp.MustCompile(`proof-SLOT-[a-z0-9]+`)
)

func classOf(op seam.Op) class {
	switch {
	case strings.HasPrefix(string(op.Kind), "files."), strings.HasPrefix(string(op.Kind), "services."):
		return class{op.Kind, proofName.ReplaceAllString(slotName.ReplaceAllString(op.Object, "SLOT"), "PROOF")}
	}
	return class{kind: op.Kind}
}

// unnamed are changes whose failure concerns no reader of a report.
func unnamed() map[class]string {
	return map[class]string{
		{seam.Remove, host.ProofLogs + "/PROOF"}: "a removal deletes them, too",
		{seam.End, ""}:                           "a tidy step removes the sandbox of a proof later, and names what keeps it from that",
	}
}

// Every class of changes fails with every errno, three times or for ten passes. The error is named
// with its operation and thing, ordinary pods are not touched, and the node comes to where it comes
// without the error.
func TestAChangeThatFailsIsNamedAndTriedAgain(t *testing.T) {
	t.Parallel()
	every := every(t)
	var mu sync.Mutex
	seen := map[class]bool{}
	cases := 0
	t.Cleanup(func() { t.Logf("%d classes of changes, %d errno, %d cases", len(seen), len(errnos()), cases) })
	for _, w := range workflows() {
		origin, trace, want := w.undisturbed(t)
		var mine []class
		for _, c := range trace {
			if one := classOf(c.Op); !seen[one] {
				seen[one] = true
				mine = append(mine, one)
			}
		}
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			tried := 0
			for i, one := range mine {
				for j, errno := range errnos() {
					if (i+j)%every == 0 {
						w.refused(t, origin, one, errno, want)
						tried++
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			cases += tried
		})
	}
}

const (
	// maxRefusals and maxRefusing end an error.
	maxRefusals = 3
	maxRefusing = 10
)

// refused is a run in which a class of changes fails with an errno.
func (w workflow) refused(t *testing.T, origin *simulation, one class, errno unix.Errno, want state) {
	t.Helper()
	s, drop := origin.branch(t)
	defer drop()
	refusals, from, thing := 0, s.passes, ""
	s.gate.refuse = func(op seam.Op) error {
		if classOf(op) != one || refusals == maxRefusals || refusals > 0 && s.passes-from > maxRefusing {
			return nil
		}
		if refusals++; refusals == 1 {
			from, thing = s.passes, op.Object
		}
		return refusal(op, errno)
	}
	err := s.run(w.stages)
	name := w.name + ", " + string(one.kind) + " " + one.file + ": " + errno.Error()
	require.NotZero(t, refusals, name)
	if assert.NoError(t, err, name) && assert.Empty(t, s.violations, name) {
		named := unnamed()[one] != "" || s.log.tells(errno.Error(), string(one.kind), thing)
		assert.True(t, named, "%s: nothing is said of it: %v", name, s.log.lines)
		s.compare(t, want, name)
		assert.Equal(t, want.starts, s.Starts, "%s: CRI-O was restarted", name)
	}
}
