// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxTries is how often a download is begun or resumed.
const maxTries = 20

// download completes the part file. What is in it from an earlier attempt is kept if the server
// still has the same file.
func (c Cache) download(ctx context.Context, url string, part *os.File) error {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = cmp.Or(c.FirstDelay, time.Second), 30*time.Second
	client := &http.Client{CheckRedirect: secureRedirect} // its transport honours HTTPS_PROXY and its like
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, classify(c.attempt(ctx, client, url, part))
	}, backoff.WithBackOff(delays), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0))
	if ended, ok := errors.AsType[*backoff.RetryAfterError](err); ok {
		return fmt.Errorf("the server asks to come again in %s", ended.Duration)
	}
	return err
}

// secureRedirect refuses to be led from TLS to plain HTTP, and more than ten times anywhere.
func secureRedirect(next *http.Request, way []*http.Request) error {
	if len(way) >= 10 {
		return backoff.Permanent(errors.New("redirected more than 10 times"))
	}
	if way[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return backoff.Permanent(fmt.Errorf("redirected to %s, which is not https", next.URL))
	}
	return nil
}

// statusError is an answer other than the file.
type statusError struct {
	status string
	code   int
	// after is the answer's Retry-After in seconds, 0 where it has none.
	after int
}

func (e statusError) Error() string { return "the server answers " + e.status }

// fileError is an error of the local file, which no repetition ends.
type fileError struct{ error }

func (e fileError) Unwrap() error { return e.error }

// classify tells errors that a repetition may end from those that it does not.
func classify(err error) error {
	if status, ok := errors.AsType[statusError](err); ok {
		switch {
		case status.after > 0 && retryable(status.code):
			return backoff.RetryAfter(status.after)
		case retryable(status.code):
			return err
		}
		return backoff.Permanent(err)
	}
	if _, local := errors.AsType[fileError](err); local {
		return backoff.Permanent(err)
	}
	if _, bad := errors.AsType[*tls.CertificateVerificationError](err); bad {
		return backoff.Permanent(err)
	}
	return err
}

func retryable(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusRequestedRangeNotSatisfiable:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return code >= http.StatusInternalServerError
}

// attempt asks for what is missing, or for the whole file, and appends it.
func (c Cache) attempt(ctx context.Context, client *http.Client, url string, part *os.File) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := newWatch(cmp.Or(c.IdleTimeout, time.Minute), cancel)
	defer idle.stop()
	have, validator, err := resumable(part)
	if err != nil {
		return fileError{err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fileError{err}
	}
	request.Header.Set("Accept-Encoding", "identity") // a digest is that of the file as it lies there
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		request.Header.Set("If-Range", validator)
	}
	response, err := client.Do(request)
	if err != nil {
		return idle.explain(err)
	}
	defer response.Body.Close()
	offset, err := begin(response, have, part)
	if err != nil {
		return err
	}
	return idle.explain(c.receive(response, offset, part, idle))
}

// begin judges an answer, and prepares the part file for its body.
func begin(response *http.Response, have int64, part *os.File) (offset int64, err error) {
	switch response.StatusCode {
	case http.StatusPartialContent:
		if strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			return have, nil
		}
		return 0, errors.Join(errors.New("the server sent another part than the one asked for"), restart(part, ""))
	case http.StatusOK:
		return 0, restart(part, validatorFrom(response.Header))
	case http.StatusRequestedRangeNotSatisfiable:
		if err := restart(part, ""); err != nil {
			return 0, err
		}
	}
	return 0, statusError{response.Status, response.StatusCode, retryAfter(response.Header)}
}

// retryAfter returns how many seconds a server asks to wait, up to five minutes; 0 where it says
// nothing, or a date.
func retryAfter(header http.Header) int {
	after, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return min(after, 300)
}

func (c Cache) receive(response *http.Response, offset int64, part *os.File, idle *watch) error {
	if _, err := part.Seek(offset, io.SeekStart); err != nil {
		return fileError{err}
	}
	total := int64(-1)
	if response.ContentLength >= 0 {
		total = offset + response.ContentLength
	}
	if total > MaxSize {
		return fileError{fmt.Errorf("has %d bytes: at most %d are downloaded", total, int64(MaxSize))}
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		idle.reset()
		if n > 0 {
			if offset += int64(n); offset > MaxSize {
				return fileError{fmt.Errorf("has more than %d bytes", int64(MaxSize))}
			}
			if _, err := part.Write(buffer[:n]); err != nil {
				return fileError{err}
			}
			if c.Progress != nil {
				c.Progress(Progress{URL: response.Request.URL.String(), Done: offset, Total: total})
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", offset, err)
		}
	}
}
