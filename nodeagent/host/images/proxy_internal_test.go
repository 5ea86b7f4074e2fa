// SPDX-License-Identifier: Apache-2.0

package images

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALimitIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait, begun := limit(1<<20), time.Now()
		for range 10 << 20 / most {
			require.NoError(t, wait(t.Context(), most))
		}
		assert.InDelta(t, 10, time.Since(begun).Seconds(), 0.1)
	})
}

// Every process of the host may connect to it.
func TestTheProxyServesThisProcessAlone(t *testing.T) {
	t.Parallel()
	p, err := startProxy(t.Context(), limit(1<<20), http.ProxyFromEnvironment)
	require.NoError(t, err)
	defer p.close()
	with := func(user *url.Userinfo) int {
		client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: p.address, User: user}), DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1/", http.NoBody)
		require.NoError(t, err)
		answer, err := client.Do(request)
		require.NoError(t, err)
		defer answer.Body.Close()
		return answer.StatusCode
	}
	assert.Equal(t, http.StatusProxyAuthRequired, with(nil))
	assert.Equal(t, http.StatusProxyAuthRequired, with(url.UserPassword("pull", "guess")))
	assert.Equal(t, http.StatusBadGateway, with(url.UserPassword("pull", p.password)))
}
