// SPDX-License-Identifier: Apache-2.0

package progress_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/internal/progress"
)

func TestALogHasALineAtTimesAndOneAtTheEnd(t *testing.T) {
	t.Parallel()
	// The clock is the test's own: nothing is waited for.
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		var out bytes.Buffer
		d := progress.New(&out, false, "downloading")
		for done := range int64(25) {
			d.Show("a", done*1000, 25_000)
			time.Sleep(time.Second)
		}
		d.Show("b", 5, -1)
		time.Sleep(time.Minute)
		d.Show("b", 1000, -1)
		d.End("a", 25_000)
		d.Show("a", 25_000, 25_000)
		d.End("a", 25_000)
		d.End("b", 2000)
		d.End("soon", 1_000_000)
		d.Close()
		assert.Equal(t, "downloading a: 10kB of 25kB\n"+
			"downloading a: 20kB of 25kB\n"+
			"downloading b: 1kB\n"+
			"downloading a: 25kB, done\n"+
			"downloading b: 2kB, done\n", out.String())
	})
}

func TestATerminalHasABarForEachThing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := progress.New(&out, true, "copying")
	d.Show("shim", 500, 1000)
	d.Show("shim", 1000, 1000)
	d.End("shim", 1000)
	d.End("guest", 2_000_000)
	d.Show("broken", 7, -1)
	d.Close()
	assert.Regexp(t, `copying shim +\[=+\] +1\.0 KB / 1\.0 KB`, out.String())
	assert.Regexp(t, `copying guest +\[=+\] +2\.0 MB / 2\.0 MB`, out.String())
	assert.Contains(t, out.String(), "copying broken")
}
