// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/stage"
)

// theatre is what all tests share: it opens with the first test that needs it and closes after the last.
type theatre struct {
	open  sync.Once
	stage *stage.Stage
	err   error

	// one and two are payloads that work, broken is one whose shim exits with status 1.
	one, two, broken string
}

var house theatre

func TestMain(m *testing.M) {
	code := m.Run()
	if house.stage != nil {
		if err := house.stage.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "closing the stage:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// brokenSentence is what the shim of the broken payload says before it exits.
const brokenSentence = "this shim was built to fail"

// set returns the shared stage. Setting it takes long only where programs are out of date.
func set(t *testing.T) *theatre {
	t.Helper()
	bed.Require(t)
	house.open.Do(func() { house.err = house.set(context.WithoutCancel(t.Context())) })
	require.NoError(t, house.err)
	return &house
}

func (h *theatre) set(ctx context.Context) (err error) {
	if h.stage, err = stage.Set(ctx, stage.Options{Race: true, Progress: os.Stderr}); err != nil {
		return err
	}
	for _, payload := range []struct {
		stage.Payload
		into *string
	}{
		{stage.Payload{Version: "1.0.0"}, &h.one},
		{stage.Payload{Version: "2.0.0"}, &h.two},
		{stage.Payload{Version: "3.0.0", Fails: brokenSentence}, &h.broken},
	} {
		if *payload.into, err = h.stage.Push(ctx, payload.Payload); err != nil {
			return err
		}
	}
	return h.stage.StartController(ctx, h.one)
}
