// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestALineOfTheLogIsBoundedAndOneLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := logger()
	log.SetOutput(&out)
	page := errors.New("502: \n" + strings.Repeat("<p>\x1b[31m", 1<<20) + "connection refused")
	log.WithError(page).WithField("step", "pull").Errorf("Failed: %s", strings.Repeat("x", 1<<20))
	assert.Less(t, out.Len(), 64<<10)
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
	assert.NotContains(t, out.String(), "\x1b")
	assert.Contains(t, out.String(), "502: ")
	assert.Contains(t, out.String(), "connection refused", "the cause is at the end")
	assert.Contains(t, out.String(), "step=pull")
}
