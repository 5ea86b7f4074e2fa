// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// shared is what all tests share: it starts with the first test that needs it and ends after the
// last.
type shared struct {
	once    sync.Once
	cluster *fixture.Cluster
	err     error

	// one and two are payloads that work, broken is one whose shim exits with status 1.
	one, two, broken string
}

var common shared

// atOnce is how many tests run at least at the same time: they mostly wait for their nodes.
const atOnce = 6

func TestMain(m *testing.M) {
	flag.Parse()
	if asked := flag.Lookup("test.parallel"); asked.Value.String() == asked.DefValue && runtime.GOMAXPROCS(0) < atOnce {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if common.cluster != nil {
		if err := common.cluster.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "closing the cluster:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// brokenSentence is what the shim of the broken payload says before it exits.
const brokenSentence = "this shim was built to fail"

// sharedCluster returns it. Starting it takes long only where programs are out of date.
func sharedCluster(t *testing.T) *shared {
	t.Helper()
	bed.Require(t)
	common.once.Do(func() { common.err = common.start(context.WithoutCancel(t.Context())) })
	require.NoError(t, common.err)
	return &common
}

func (h *shared) start(ctx context.Context) (err error) {
	if h.cluster, err = fixture.Start(ctx, fixture.Options{Race: true, Progress: os.Stderr}); err != nil {
		return err
	}
	for _, payload := range []struct {
		fixture.Payload
		into *string
	}{
		{fixture.Payload{Version: "1.0.0"}, &h.one},
		{fixture.Payload{Version: "2.0.0"}, &h.two},
		{fixture.Payload{Version: "3.0.0", Fails: brokenSentence}, &h.broken},
	} {
		if *payload.into, err = h.cluster.Push(ctx, payload.Payload); err != nil {
			return err
		}
	}
	return h.cluster.StartController(ctx, h.one)
}
