// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/kata-node/kata-node/internal/httpstatus"
)

// sentence is an error on one line. Registries answer with several, and libraries quote them.
type sentence struct {
	text string
	err  error
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.err }

// explain makes one line of an error and adds what to do about it, where that can be known.
func explain(err error, at Target) error {
	if err == nil {
		return nil
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if advice := remedy(err, at); advice != "" {
		text += ": " + advice
	}
	return sentence{text, err}
}

func remedy(err error, at Target) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ""
	}
	if at.kind == registryPrefix {
		if advice := registryRemedy(err, at.registry()); advice != "" {
			return advice
		}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return "make room there, or set TMPDIR to a directory with more, if it was for temporary files"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return "name a place that can be written to"
	case errors.Is(err, syscall.ENOENT):
		return "check its name"
	}
	return ""
}

func registryRemedy(err error, registry string) string {
	code := httpstatus.Of(err)
	text := err.Error()
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Sprintf("run podman login %s with an account that may do this, or name its login file with --authfile", registry)
	case code == http.StatusNotFound:
		return "check the repository and the tag or digest"
	case code == http.StatusTooManyRequests:
		return "try again later"
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("the fault is with %s: try again later, or ask who runs it", registry)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "use --tls-verify=false, or insecure = true in registries.conf"
	case strings.Contains(text, "x509: "), strings.Contains(text, "tls: "):
		return fmt.Sprintf("put the certificate of its authority into /etc/containers/certs.d/%s/ca.crt, or use --tls-verify=false", registry)
	case unreachable(err):
		return fmt.Sprintf("check the name %s, and that it can be reached from here", registry)
	case broken(err):
		return "try again: what has arrived is not sent again"
	}
	return ""
}

func unreachable(err error) bool {
	connecting, ok := errors.AsType[*net.OpError](err)
	return ok && connecting.Op == "dial"
}

func broken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
