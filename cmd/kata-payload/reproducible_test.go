// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Sources lie in other directories each time, written in another order and at another time, and the
// program runs with another umask, time zone and locale.
func TestTheDigestIsTheSameWhateverSurroundsTheBuild(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	_, diag, err := run(t, kataPayload, "build", "--sources", sources(t, ""), "--profile", "minimal", "--architecture", "amd64", "--to", "oci:"+t.TempDir())
	require.Error(t, err)
	pin := regexp.MustCompile(`its sha256 is ([0-9a-f]{64});`).FindStringSubmatch(diag)
	require.Len(t, pin, 2, diag)
	names := map[string]bool{}
	for umask, environment := range map[string][]string{
		"022": {"TZ=UTC", "LC_ALL=C"}, "077": {"TZ=Asia/Tokyo", "LC_ALL=ja_JP.UTF-8"}, "000": {"TZ=America/New_York", "LC_ALL=tr_TR.UTF-8"},
	} {
		file := sources(t, pin[1])
		for _, name := range []string{"VERSION", "bin/containerd-shim-kata-v2"} {
			require.NoError(t, os.Chtimes(filepath.Join(filepath.Dir(file), "unpacked/opt/kata", name), time.Time{}, time.Unix(rand.Int64N(1<<31), 5)))
		}
		environment = append(environment, "SOURCE_DATE_EPOCH=", "TMPDIR="+t.TempDir())
		out, diag, err := runIn(t, environment, "/bin/sh", "-c", `umask `+umask+`; exec "$0" "$@"`,
			kataPayload, "build", "--sources", file, "--profile", "minimal", "--architecture", "amd64", "--to", "oci:"+t.TempDir()+":v1")
		require.NoError(t, err, diag)
		_, digest, _ := strings.Cut(out, "@")
		names[digest] = true
	}
	assert.Len(t, names, 1)
}
