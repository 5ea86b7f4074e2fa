// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	socks "golang.org/x/net/proxy"
)

// connect reaches a registry as net/http would: through the proxy that the environment names for
// it, or without one.
func (p *proxy) connect(ctx context.Context, registry string) (net.Conn, error) {
	via, err := p.environment(&http.Request{URL: &url.URL{Scheme: "https", Host: registry}})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the proxy of the environment: %w", err)
	case via == nil:
		return p.dial(ctx, "tcp", registry)
	case via.Scheme == "socks5" || via.Scheme == "socks5h":
		dialer, err := socks.FromURL(via, straight{ctx, p})
		if err != nil {
			return nil, fmt.Errorf("reading proxy %s: %w", via.Redacted(), err)
		}
		return dialer.Dial("tcp", registry)
	}
	return p.through(ctx, via, registry)
}

// through connects with a registry by a proxy that speaks HTTP.
func (p *proxy) through(ctx context.Context, via *url.URL, registry string) (net.Conn, error) {
	connection, err := p.dial(ctx, "tcp", withPort(via))
	if err != nil {
		return nil, fmt.Errorf("connecting to proxy %s: %w", via.Redacted(), err)
	}
	if via.Scheme == "https" {
		connection = tls.Client(connection, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
	}
	if err := request(connection, via, registry); err != nil {
		return nil, errors.Join(fmt.Errorf("asking proxy %s for %s: %w", via.Redacted(), registry, err), connection.Close())
	}
	return connection, nil
}

// request asks a proxy for a registry. The proxy sends nothing of its own after its answer.
func request(connection net.Conn, via *url.URL, registry string) error {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: registry}, Host: registry, Header: http.Header{}}
	if via.User != nil {
		password, _ := via.User.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)))
	}
	if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if err := r.Write(connection); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return connection.SetDeadline(time.Time{})
}

// withPort is the address of a proxy, with the port of its scheme where it names none.
func withPort(via *url.URL) string {
	port := via.Port()
	switch {
	case port != "":
	case via.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(via.Hostname(), port)
}

// straight dials without a further proxy.
type straight struct {
	ctx   context.Context //nolint:containedctx // The interface has no place for it.
	proxy *proxy
}

// Dial connects.
func (s straight) Dial(network, address string) (net.Conn, error) {
	return s.proxy.dial(s.ctx, network, address)
}
