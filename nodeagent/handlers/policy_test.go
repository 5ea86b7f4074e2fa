// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestTheLastFileThatNamesASignaturePolicyCounts(t *testing.T) {
	t.Parallel()
	file := func(path, content string) handlers.File {
		return handlers.File{Path: path, Content: []byte(content)}
	}
	main := file("/etc/crio/crio.conf", "[crio.image]\nsignature_policy = '/etc/crio/policy.json'\npause_image = 'p'\n")
	for name, c := range map[string]struct {
		files []handlers.File
		want  string
	}{
		"no file":             {nil, ""},
		"the main file":       {[]handlers.File{main, file("/etc/crio/crio.conf.d/10", "[crio.image]\npause_image = 'q'\n")}, "/etc/crio/policy.json"},
		"a drop-in":           {[]handlers.File{main, file("/etc/crio/crio.conf.d/10", "[crio.image]\nsignature_policy = '/etc/site.json'\n")}, "/etc/site.json"},
		"a drop-in with none": {[]handlers.File{main, file("/etc/crio/crio.conf.d/10", "[crio.image]\nsignature_policy = ''\n")}, ""},
	} {
		policy, err := handlers.SignaturePolicy(c.files, handlers.Options{})
		require.NoError(t, err, name)
		assert.Equal(t, c.want, policy, name)
	}
	_, err := handlers.SignaturePolicy([]handlers.File{main, file("/etc/crio/crio.conf.d/10", "[crio.im")}, handlers.Options{})
	require.ErrorContains(t, err, "/etc/crio/crio.conf.d/10")
	_, err = handlers.SignaturePolicy([]handlers.File{main, {Path: "/etc/crio/crio.conf.d/20", Err: errors.New("input/output error")}}, handlers.Options{})
	require.ErrorContains(t, err, "input/output error")

	options := handlers.OptionsOf(host.Process{Args: []string{"crio", "--signature-policy", "/etc/option.json"}})
	policy, err := handlers.SignaturePolicy([]handlers.File{main}, options)
	require.NoError(t, err)
	assert.Equal(t, "/etc/option.json", policy, "an option counts before files")
}

func TestWhereCRIOKeepsImages(t *testing.T) {
	t.Parallel()
	files := []handlers.File{
		{Path: "/etc/crio/crio.conf", Content: []byte("[crio]\nroot = '/var/a'\n")}, {Path: "/etc/crio/crio.conf.d/10", Content: []byte("[crio]\nroot = '/var/b'\n")},
	}
	for want, c := range map[string]struct {
		files []handlers.File
		args  []string
	}{
		"":       {},
		"/var/b": {files: files},
		"/var/c": {files, []string{"crio", "-r", "/var/c"}},
	} {
		root, err := handlers.ImageRoot(c.files, handlers.OptionsOf(host.Process{Args: c.args}))
		require.NoError(t, err)
		assert.Equal(t, want, root)
	}
	root, err := handlers.GraphRoot([]byte("[storage]\ndriver = 'overlay'\ngraphroot = '/mnt/images'\n[storage.options]\nadditionalimagestores = []\n"))
	require.NoError(t, err)
	assert.Equal(t, "/mnt/images", root)
	_, err = handlers.GraphRoot([]byte("[storage"))
	require.ErrorContains(t, err, "reading the configuration of storages")
}
