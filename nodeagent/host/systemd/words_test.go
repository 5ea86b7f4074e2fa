// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestTheTimeOfALineIsLeftOut(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "level=info msg=\"time=\"\nlevel=fatal msg=b\n", systemd.Untimed("time=\"2026-01-02T03:04:05Z\" level=info msg=\"time=\"\ntime=\"x\" level=fatal msg=b\n"))
}

func TestTheLastWordsAreThoseOfTheLastStartThatSaidAny(t *testing.T) {
	t.Parallel()
	entry := func(invocation, message string) string {
		return `{"MESSAGE":` + message + `,"_SYSTEMD_INVOCATION_ID":"` + invocation + `","__CURSOR":"x"}` + "\n"
	}
	journal := `ut":"x"}` + "\n" + entry("a", `"of the first"`) + entry("b", `"one"`) + entry("b", `[1,2]`) + entry("b", `"two"`) + entry("b", `"three"`) + entry("c", `"starting"`)
	assert.Equal(t, []string{"starting"}, systemd.LastWords([]byte(journal), nil))
	assert.Equal(t, []string{"two", "three"}, systemd.LastWords([]byte(journal), []string{"c", "a"}))
	assert.Empty(t, systemd.LastWords([]byte(journal), []string{"a", "b", "c"}))
	assert.Empty(t, systemd.LastWords(nil, nil))
}
