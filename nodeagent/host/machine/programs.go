// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// known is what a program said of itself while it was this file.
type known struct {
	size    int64
	changed time.Time
	found   host.Program
}

// find returns the first program that is there.
func (e *Examiner) find(ctx context.Context, places []string) host.Program {
	for _, place := range places {
		info, err := os.Stat(e.path(place))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		k := e.programs[place]
		if k.found.Path == "" || k.size != info.Size() || !k.changed.Equal(info.ModTime()) {
			k = known{info.Size(), info.ModTime(), e.ask(ctx, place)}
			e.programs[place] = k
		}
		return k.found
	}
	return host.Program{}
}

func (e *Examiner) ask(ctx context.Context, place string) host.Program {
	version, err := e.version(ctx, e.path(place))
	if err != nil {
		return host.Program{Path: place, Problem: err.Error()}
	}
	return host.Program{Path: place, Version: version}
}

// versionLimit bounds how long a program may take to print its version.
const versionLimit = 5 * time.Second

// askVersion starts a program that then only prints its version.
func askVersion(ctx context.Context, program string) (string, error) {
	late := fmt.Errorf("no answer within %s", versionLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, versionLimit, late)
	defer cancel()
	c := exec.CommandContext(ctx, program, "--version")
	c.Env = []string{"LC_ALL=C"}
	c.WaitDelay = time.Second
	printed, err := c.CombinedOutput()
	if context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", program, err)
	}
	return versionIn(string(printed))
}

// versionIn returns the first number of the form 9.1.0 or 1.13.
func versionIn(text string) (string, error) {
	found := regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(text)
	if found == "" {
		return "", errors.New("it prints no version")
	}
	return found, nil
}
