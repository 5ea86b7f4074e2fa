// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.podman.io/image/v5/signature"

	"github.com/kata-node/kata-node/internal/httpstatus"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// class is a kind of failure of a pull, and what to do about it.
type class struct {
	is     func(error) bool
	kind   host.FaultKind
	remedy string
}

// classes are looked through in this order: an error may belong to several.
func (s *Store) classes() []class {
	return []class{
		{refused, host.Lasting, "sign it with a key that this host's signature policy accepts, or change the policy"},
		{says("x509: "), host.Lasting, "give the registry a certificate that this host trusts, or put that of its authority into /etc/containers/certs.d/HOST:PORT/ca.crt"},
		{says("server gave HTTP response to HTTPS client"), host.Lasting, "the registry serves no TLS: if that is meant, set insecure = true for it in registries.conf"},
		{answered(http.StatusUnauthorized, http.StatusForbidden), host.Lasting, fmt.Sprintf("the pull secret %s needs an account that may read it", s.auth)},
		{answered(http.StatusNotFound), host.Lasting, "push it there, or name a payload that is there"},
		{answered(http.StatusTooManyRequests), host.Throttled, "the registry limits how often it is asked: it is left alone for some minutes"},
		{unreachable, host.Passing, "see whether the registry runs, and whether this node resolves its name and may connect to it"},
		{func(err error) bool { return httpstatus.Of(err) >= http.StatusInternalServerError }, host.Passing, "the fault is with the registry: see its log"},
		{differs, host.Passing, "the registry, or a proxy on the way to it, sends something else than what was pushed: see its log, or push the payload again"},
		{cut, host.Passing, "see whether the registry and the proxies on the way to it answer"},
	}
}

// classify adds to the error of a pull what to do about it, and whether it passes by itself. One
// that says so already stays as it is.
func (s *Store) classify(err error) error {
	_, unfit := errors.AsType[*host.Unfit](err)
	if err == nil || unfit || full(err) || errors.Is(err, context.Canceled) {
		return err
	}
	for _, c := range s.classes() {
		if c.is(err) {
			if mirrored(err) {
				c.kind = host.Passing
			}
			before := s.deciding()
			return &host.Fault{Kind: c.kind, Remedy: c.remedy, Err: err, Changed: func() bool { return !maps.Equal(before, s.deciding()) }}
		}
	}
	return err
}

// deciding are the files of the host that say what may be pulled, from where, whom to trust, and
// with which credentials.
func (s *Store) deciding() map[string]stamp {
	found := authorities(s.root)
	for _, place := range []string{
		s.auth, s.Policy, s.decides, filepath.Join(s.root, "/etc/containers"), filepath.Join(s.root, "/etc/docker/certs.d"), filepath.Join(s.root, "/etc/crio"),
	} {
		_ = filepath.WalkDir(place, func(path string, _ fs.DirEntry, _ error) error { //nolint:errcheck // What is not there has no stamp.
			if now, there := stampOf(path); there {
				found[path] = now
			}
			return nil
		})
	}
	return found
}

// mirrored tells that mirrors failed, too. What they answered is only in the text, and may pass.
func mirrored(err error) bool { return says("Mirrors also failed")(err) }

// refused tells that the host's signature policy does not allow the image.
func refused(err error) bool {
	_, policy := errors.AsType[signature.PolicyRequirementError](err)
	_, invalid := errors.AsType[signature.InvalidSignatureError](err)
	return policy || invalid
}

func says(text string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), text) }
}

func answered(statuses ...int) func(error) bool {
	return func(err error) bool { return slices.Contains(statuses, httpstatus.Of(err)) }
}

// differs tells that bytes came which are not those that a digest names. The library has no type
// for it.
func differs(err error) bool {
	return says("Digest did not match")(err) || says("does not match expected")(err) || says("does not match provided manifest digest")(err)
}

func unreachable(err error) bool {
	connecting, ok := errors.AsType[*net.OpError](err)
	_, unresolved := errors.AsType[*net.DNSError](err)
	// Where a pull is limited, it is in the status that our own proxy answers.
	return ok && connecting.Op == "dial" || unresolved || says("dial tcp")(err)
}

func cut(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, errStalled) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
