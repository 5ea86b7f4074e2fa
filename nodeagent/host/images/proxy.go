// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// proxy stands on the loopback between the library and the registry while a pull with a limit runs.
// The library makes its connections itself and offers nothing else to change them by: a source of
// blobs that is wrapped no longer serves parts of them. What comes from the network is read no
// faster than the limit. TLS goes through it unread. It asks for a password that only this process
// has, because every process of the host may connect to it.
type proxy struct {
	server   *http.Server
	password string
	address  string
	// ctx is that of the pull. It ends the waiting and the tunnels.
	ctx  context.Context //nolint:containedctx // Connections have it, and outlive the request that made them.
	stop context.CancelFunc
	// wait returns when so many bytes may have come.
	wait func(ctx context.Context, bytes int) error
	// environment names the host's own proxy for a request, nil where there is none.
	environment func(*http.Request) (*url.URL, error)
	forward     *httputil.ReverseProxy
}

// most is how many bytes are read at once, and may come without waiting.
const most = 32 << 10

// limit returns what waits for bytes under a limit per second.
func limit(bytes int64) func(context.Context, int) error {
	return rate.NewLimiter(rate.Limit(bytes), most).WaitN
}

// startProxy listens on the loopback.
func startProxy(ctx context.Context, wait func(context.Context, int) error, environment func(*http.Request) (*url.URL, error)) (*proxy, error) {
	p := &proxy{password: rand.Text(), wait: wait, environment: environment}
	p.ctx, p.stop = context.WithCancel(ctx)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("listening on the loopback, to limit the rate of the pull: %w", err)
	}
	p.address = listener.Addr().String()
	p.forward = &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = r.In.URL, r.In.Host },
		Transport:    &http.Transport{Proxy: environment, DialContext: p.dial, DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { fail(w, err) },
		// What is slow must not look like what is silent.
		FlushInterval: -1,
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }() //nolint:errcheck // It ends with an error always.
	return p, nil
}

func (p *proxy) close() {
	p.stop()
	end(p.server)
}

// end closes what is not needed any more. What was written has come, or its reader has an error.
func end(all ...io.Closer) {
	for _, one := range all {
		_ = one.Close()
	}
}

// url is the proxy of every request.
func (p *proxy) url(*url.URL) (*url.URL, error) {
	return &url.URL{Scheme: "http", Host: p.address, User: url.UserPassword("pull", p.password)}, nil
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("pull:"+p.password))
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Proxy-Authorization")), []byte(want)) != 1:
		http.Error(w, "this proxy belongs to kata-node-agent", http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.Host == "":
		http.Error(w, "a proxy needs the whole URL", http.StatusBadRequest)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// tunnel connects the library with a registry that speaks TLS.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	registry, err := p.connect(r.Context(), r.Host)
	if err != nil {
		fail(w, err)
		return
	}
	defer end(registry)
	library, sent, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fail(w, err)
		return
	}
	defer end(library)
	defer context.AfterFunc(p.ctx, func() { end(library, registry) })() //nolint:contextcheck // The connection outlives the request.
	if _, err := io.WriteString(library, "HTTP/1.1 200 Connected\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(registry, sent) //nolint:errcheck // The library sees what its connection does.
		end(registry)
	}()
	_, _ = io.Copy(library, registry) //nolint:errcheck // As above.
}

// fail puts the reason into the status, which is in the library's error.
func fail(w http.ResponseWriter, reason error) {
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, reason.Error(), http.StatusBadGateway)
		return
	}
	defer end(client)
	fmt.Fprintf(client, "HTTP/1.1 502 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", strings.Join(strings.Fields(reason.Error()), " "))
}

// dial connects, and what comes from there is read under the limit.
func (p *proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	connection, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return limited{connection, p}, nil
}

// limited is a connection that is read no faster than the limit.
type limited struct {
	net.Conn
	proxy *proxy
}

func (l limited) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b[:min(len(b), most)])
	if waited := l.proxy.wait(l.proxy.ctx, n); waited != nil && err == nil {
		err = waited
	}
	return n, err
}
