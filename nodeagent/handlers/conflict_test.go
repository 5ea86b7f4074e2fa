// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestWhatOtherFilesSayAboutOurHandlers(t *testing.T) {
	t.Parallel()
	const site = "/etc/crio/crio.conf.d/99-site.conf"
	for name, c := range map[string]struct {
		file handlers.File
		want []handlers.Conflict
	}{
		"nothing":               {handlers.File{Path: site, Content: []byte("[crio.runtime]\ndefault_runtime = 'crun'\n[crio.runtime.runtimes.crun]\n")}, nil},
		"a name that is longer": {handlers.File{Path: site, Content: []byte("[crio.runtime.runtimes.kata-oc-qemu]\n")}, nil},
		"our own file":          {handlers.File{Path: host.DropIn, Content: []byte("[crio.runtime.runtimes.kata-oc]\n")}, nil},
		"a handler of ours": {
			handlers.File{Path: site, Content: []byte("[crio.runtime.runtimes.kata-oc]\nruntime_path = '/usr/bin/crun'\n")},
			[]handlers.Conflict{{File: site, Key: "crio.runtime.runtimes.kata-oc"}},
		},
		"the proof handler, in the main file": {
			handlers.File{Path: host.CRIOConfig, Content: []byte("[crio.runtime.runtimes.kata-oc-proof]\n")},
			[]handlers.Conflict{{File: host.CRIOConfig, Key: "crio.runtime.runtimes.kata-oc-proof"}},
		},
		"a further handler": {
			handlers.File{Path: site, Content: []byte("[crio.runtime.runtimes.kata-oc-rs-proof]\n")},
			[]handlers.Conflict{{File: site, Key: "crio.runtime.runtimes.kata-oc-rs-proof"}},
		},
		"the default runtime": {
			handlers.File{Path: site, Content: []byte("[crio.runtime]\ndefault_runtime = 'kata-oc'\n")},
			[]handlers.Conflict{{File: site, Key: "crio.runtime.default_runtime", Default: true}},
		},
	} {
		verdict := handlers.Judge([]handlers.File{{Path: "/etc/crio/crio.conf"}, c.file}, handlers.Options{})
		assert.Equal(t, handlers.Verdict{Conflicts: c.want}, verdict, name)
	}
}

func TestAConfigurationThatCRIOWouldRefuseIsNamedByFile(t *testing.T) {
	t.Parallel()
	verdict := handlers.Judge([]handlers.File{
		{Path: "/etc/crio/crio.conf", Content: []byte("[crio]\n")},
		{Path: "/etc/crio/crio.conf.d/.half", Content: []byte("[crio.runt")},
		{Path: "/etc/crio/crio.conf.d/dangling", Err: errors.New("no such file or directory")},
	}, handlers.Options{})
	assert.Contains(t, verdict.Refused, "/etc/crio/crio.conf.d/.half: ")
	verdict = handlers.Judge([]handlers.File{{Path: "/etc/crio/crio.conf.d/dangling", Err: errors.New("no such file or directory")}}, handlers.Options{})
	assert.Equal(t, "/etc/crio/crio.conf.d/dangling: no such file or directory", verdict.Refused)
}
