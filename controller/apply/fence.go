// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Fence lets writes pass while the leader's lease is known to be held. A process that was frozen,
// by SIGSTOP or with its whole machine, continues where it stopped, with decisions from before: by
// then another instance may lead. Only a look at the clock right before each write tells.
type Fence struct {
	// Limit is how long a renewal counts. It has to be shorter than the lease by what a request may
	// take.
	Limit time.Duration
	// Now is the clock.
	Now func() time.Time

	mu sync.Mutex
	// renewed is zero while the lease is not held.
	renewed time.Time
}

// Renewed notes when the request was sent that renewed the lease; zero when it is given up.
func (f *Fence) Renewed(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = at
}

// Check returns why nothing may be written.
func (f *Fence) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.renewed.IsZero() {
		return errors.New("this instance does not hold the leader's lease")
	}
	if age := passed(f.renewed, f.Now()); age > f.Limit {
		return fmt.Errorf("the leader's lease was last renewed %s ago, which is more than %s: another instance may lead by now", age.Round(time.Second), f.Limit)
	}
	return nil
}

// passed is the longer of what the two clocks in a time say: the monotonic one stands still while a
// machine is suspended, the wall clock may be set back.
func passed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// Wrap puts the fence before everything that a client of the API server writes, after all waiting
// for the client's rate limit.
func (f *Fence) Wrap(next http.RoundTripper) http.RoundTripper { return fenced{f, next} }

type fenced struct {
	fence *Fence
	next  http.RoundTripper
}

func (f fenced) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method == http.MethodGet || q.Method == http.MethodHead {
		return f.next.RoundTrip(q)
	}
	if err := f.fence.Check(); err != nil {
		if q.Body != nil {
			err = errors.Join(err, q.Body.Close())
		}
		return nil, err
	}
	return f.next.RoundTrip(q)
}
