// SPDX-License-Identifier: Apache-2.0

package httpstatus_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/docker/distribution/registry/api/errcode"
	"github.com/stretchr/testify/assert"
	"go.podman.io/image/v5/docker"

	"github.com/kata-node/kata-node/internal/httpstatus"
)

func TestEveryFormOfAStatusIsFound(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{
		0:   errors.New("no route to host"),
		200: nil,
		401: docker.ErrUnauthorizedForCredentials{Err: errors.New("no")},
		403: errcode.ErrorCodeDenied.WithMessage("no"),
		404: errors.New(`StatusCode: 404, "Not Found"`),
		429: docker.ErrTooManyRequests,
		503: docker.UnexpectedHTTPStatusError{StatusCode: 503},
	} {
		if err != nil {
			err = fmt.Errorf("pulling: %w", err)
		}
		assert.Equal(t, want, httpstatus.Of(err), "%v", err)
	}
}
