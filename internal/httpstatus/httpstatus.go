// SPDX-License-Identifier: Apache-2.0

// Package httpstatus finds the status of a registry's answer in an error of containers/image, which
// has several forms of it, one of them private.
package httpstatus

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"

	"github.com/docker/distribution/registry/api/errcode"
	"go.podman.io/image/v5/docker"
)

// Of returns the status, 200 without an error, and 0 for an error that is no answer of a registry.
func Of(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if _, ok := errors.AsType[docker.ErrUnauthorizedForCredentials](err); ok {
		return http.StatusUnauthorized
	}
	if errors.Is(err, docker.ErrTooManyRequests) {
		return http.StatusTooManyRequests
	}
	if unexpected, ok := errors.AsType[docker.UnexpectedHTTPStatusError](err); ok {
		return unexpected.StatusCode
	}
	if found := regexp.MustCompile(`StatusCode: ([0-9]{3})`).FindStringSubmatch(err.Error()); found != nil {
		code, _ := strconv.Atoi(found[1]) //nolint:errcheck // three digits
		return code
	}
	var coded errcode.ErrorCoder
	if errors.As(err, &coded) {
		return coded.ErrorCode().Descriptor().HTTPStatusCode
	}
	return 0
}
