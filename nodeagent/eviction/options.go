// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// kubeletRoot is where the kubelet keeps pods unless an option says otherwise.
const kubeletRoot = "/var/lib/kubelet"

// Options are those of a kubelet's command line that count.
type Options struct {
	// Config is its configuration file, Dir a directory with further ones; both may be empty.
	Config, Dir string
	// Root is where it keeps pods. Images is where its container runtime keeps images, which no
	// option of the kubelet says: empty is the usual place.
	Root, Images string
	// hard and soft are thresholds on the command line, empty where there are none. They replace
	// those of the files.
	hard, soft string
}

// OptionsOf reads the arguments of a kubelet, of which the first one is the program.
func OptionsOf(args []string) Options {
	var o Options
	flags := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.Config, "config", "", "")
	flags.StringVar(&o.Dir, "config-dir", "", "")
	flags.StringVar(&o.Root, "root-dir", kubeletRoot, "")
	flags.StringVar(&o.hard, "eviction-hard", "", "")
	flags.StringVar(&o.soft, "eviction-soft", "", "")
	if len(args) > 0 {
		_ = flags.Parse(args[1:]) //nolint:errcheck // What was read before the error counts.
	}
	return o
}

// orFlag returns what the command line says, else the files. There, a threshold is written as
// imagefs.available<15%.
func orFlag(files map[string]string, flag string) (map[string]string, error) {
	if flag == "" {
		return files, nil
	}
	set := map[string]string{}
	for one := range strings.SplitSeq(flag, ",") {
		name, value, ok := strings.Cut(one, "<")
		if !ok {
			return nil, fmt.Errorf("reading the kubelet's options: threshold %q has no <", one)
		}
		set[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return set, nil
}
