// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

const (
	// readLimit is how long one process is waited for. The kernel answers within microseconds,
	// unless the process holds its memory lock, as one does that waits for a dead file server.
	readLimit = time.Second
	// maxLate bounds the reads that wait in the kernel, each of which takes a thread that no signal
	// ends.
	maxLate = 16
)

// reading is one read of a process. Found and err count once done is closed.
type reading struct {
	done  chan struct{}
	found host.Process
	err   error
}

// patiently reads a process. What does not answer in time is not asked again before it has
// answered.
func (t *Table) patiently(id identity, read func() (host.Process, error)) (host.Process, error) {
	r, late := t.late[id]
	switch {
	case late:
		select {
		case <-r.done:
			delete(t.late, id)
			return r.found, r.err
		default:
			return host.Process{}, fmt.Errorf("%s is still being read", file(id.pid, ""))
		}
	case len(t.late) >= maxLate:
		return host.Process{}, fmt.Errorf("not read, because %d others do not answer", maxLate)
	}
	r = &reading{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.found, r.err = read()
	}()
	limit := time.NewTimer(readLimit)
	defer limit.Stop()
	select {
	case <-r.done:
		return r.found, r.err
	case <-limit.C:
		t.late[id] = r
		return host.Process{}, fmt.Errorf("reading %s: no answer within %s", file(id.pid, ""), readLimit)
	}
}

// forgetLate drops reads that have ended and that no process of the last look asked for.
func (t *Table) forgetLate() {
	for id, r := range t.late {
		select {
		case <-r.done:
			delete(t.late, id)
		default:
		}
	}
}
