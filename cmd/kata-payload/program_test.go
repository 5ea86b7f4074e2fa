// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// programs is where the program is built, once for all tests.
var programs string

func TestMain(m *testing.M) {
	os.Exit(withPrograms(m))
}

func withPrograms(m *testing.M) (code int) {
	var err error
	if programs, err = os.MkdirTemp("", "kata-payload-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(programs); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}

var build = sync.OnceValues(func() (string, error) {
	name := filepath.Join(programs, "kata-payload")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", name, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building the program: %w: %s", err, out)
	}
	return name, err
})

// program returns kata-payload as it is shipped.
func program(t *testing.T) string {
	t.Helper()
	name, err := build()
	require.NoError(t, err)
	return name
}
