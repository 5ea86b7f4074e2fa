// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// validatorOf is the name of the file that keeps the validator of a part file: what the server
// called the file when the download began (RFC 9110, 13.1.5).
func validatorOf(part string) string { return part + ".validator" }

// resumable returns how much of a part file can be kept, and the validator to ask with.
func resumable(part *os.File) (have int64, validator string, err error) {
	info, err := part.Stat()
	if err != nil {
		return 0, "", err
	}
	text, err := os.ReadFile(validatorOf(part.Name()))
	if err != nil || len(text) == 0 || info.Size() == 0 {
		return 0, "", nil //nolint:nilerr // Without a validator the download begins again.
	}
	return info.Size(), string(text), nil
}

// restart empties the part file, and notes the validator of what comes.
func restart(part *os.File, validator string) error {
	if err := part.Truncate(0); err != nil {
		return fileError{err}
	}
	name := validatorOf(part.Name())
	if validator == "" {
		if err := removeIfThere(name); err != nil {
			return fileError{err}
		}
		return nil
	}
	if err := os.WriteFile(name, []byte(validator), 0o644); err != nil {
		return fileError{err}
	}
	return nil
}

// validatorFrom returns what If-Range takes: a strong entity tag, else the time of the last change,
// else nothing, and the download cannot be resumed.
func validatorFrom(header http.Header) string {
	if tag := header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return header.Get("Last-Modified")
}

// watch ends an attempt whose server sends nothing for too long.
type watch struct {
	limit time.Duration
	timer *time.Timer
	idle  error
	ended chan struct{}
}

func newWatch(limit time.Duration, cancel context.CancelCauseFunc) *watch {
	w := &watch{limit: limit, idle: fmt.Errorf("the server sent nothing for %s", limit), ended: make(chan struct{})}
	w.timer = time.AfterFunc(limit, func() {
		close(w.ended)
		cancel(w.idle)
	})
	return w
}

func (w *watch) reset() {
	if w.timer.Stop() {
		w.timer.Reset(w.limit)
	}
}

func (w *watch) stop() { w.timer.Stop() }

// explain says of an attempt that was ended for its silence why it was.
func (w *watch) explain(err error) error {
	select {
	case <-w.ended:
		if err != nil && errors.Is(err, context.Canceled) {
			return w.idle
		}
	default:
	}
	return err
}
