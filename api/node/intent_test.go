// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/docker/reference"

	"github.com/kata-node/kata-node/api/node"
)

const nodeUID = "0d1f6a1e-3c5b-4e8e-9a55-7f0a3a1f7a10"

func image(digit string) string {
	return "registry.example/kata/payload@sha256:" + strings.Repeat(digit, 64)
}

func installation() node.Intent {
	return node.Intent{
		Owner: node.Owner{Name: "install-kata-1.0", UID: "uid-1"}, State: node.StateInstalled, Payload: image("a"),
		HostPackages: node.HostPackagesNone, Issued: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Grants: node.Grants{RestartCRIO: "boot-1"},
	}.Identify(nodeUID)
}

// with is an installation that differs in one field.
func with(change func(*node.Intent)) node.Intent {
	i := installation()
	change(&i)
	return i.Identify(nodeUID)
}

func TestIntentIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for name, intent := range map[string]node.Intent{
		"installed": installation(),
		"handlers":  with(func(i *node.Intent) { i.Handlers = []string{"debug", "rs"} }),
		"pinged":    with(func(i *node.Intent) { i.Ping = time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC) }),
		"absent":    node.Intent{Owner: node.Owner{Name: "k"}, State: node.StateAbsent}.Identify(nodeUID),
	} {
		document, err := intent.Encode()
		require.NoError(t, err, name)
		read, err := node.DecodeIntent(document)
		require.NoError(t, err, name)
		assert.Equal(t, intent, read, name)
	}
}

func TestIntentsWireForm(t *testing.T) {
	t.Parallel()
	intent := installation()
	document, err := intent.Encode()
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":1,"id":"`+intent.ID+`","owner":{"name":"install-kata-1.0","uid":"uid-1"},"state":"Installed","payload":"`+image("a")+`",
		"hostPackages":"None","issued":"2026-01-02T03:04:05Z","grants":{"restartCRIO":"boot-1"}}`, document)
	document, err = node.Intent{State: node.StateAbsent}.Identify(nodeUID).Encode()
	require.NoError(t, err)
	assert.NotContains(t, document, "owner")
	assert.NotContains(t, document, "grants")
	assert.NotContains(t, document, "issued")
}

func TestAnIntentFromANewerNeighbourMayHaveMoreFields(t *testing.T) {
	t.Parallel()
	intent, err := node.DecodeIntent(`{"version":1,"id":"x","state":"Absent","colour":"blue"}`)
	require.NoError(t, err)
	assert.Equal(t, node.StateAbsent, intent.State)
}

func TestIntentThatCannotBeFollowedIsRefusedWithFieldAndRemedy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		document string
		says     []string
	}{
		"empty":               {``, []string{"not a JSON document"}},
		"no JSON":             {`install please`, []string{"not a JSON document"}},
		"two documents":       {`{"version":1,"id":"x","state":"Absent"}{}`, []string{"more than one JSON document"}},
		"huge":                {`{"id":"` + strings.Repeat("x", 20_000) + `"}`, []string{"more than 16384"}},
		"unknown version":     {`{"version":2,"id":"x","state":"Absent"}`, []string{"version 2", "neighbouring versions"}},
		"no id":               {`{"version":1,"state":"Absent"}`, []string{"id is empty"}},
		"long id":             {`{"version":1,"id":"` + strings.Repeat("x", 100) + `","state":"Absent"}`, []string{"id is longer than 64"}},
		"unknown state":       {`{"version":1,"id":"x","state":"Paused"}`, []string{`state "Paused"`, "use Installed or Absent"}},
		"twice a handler":     {`{"version":1,"id":"x","state":"Installed","payload":"` + image("a") + `","handlers":["rs","rs"]}`, []string{"handlers", "named twice"}},
		"handlers and Absent": {`{"version":1,"id":"x","state":"Absent","handlers":["rs"]}`, []string{"handlers", "leave them out"}},
		"too many handlers":   {`{"version":1,"id":"x","state":"Installed","payload":"` + image("a") + `","handlers":["a","b","c","d","e"]}`, []string{"handlers are 5"}},
		"a long handler":      {`{"version":1,"id":"x","state":"Installed","payload":"` + image("a") + `","handlers":["abcdefghijklmnopq"]}`, []string{"longer than 16"}},
		"no payload":          {`{"version":1,"id":"x","state":"Installed"}`, []string{"payload is empty", "registry/repository@sha256:digest"}},
		"payload by tag":      {`{"version":1,"id":"x","state":"Installed","payload":"r.example/p:v1"}`, []string{`payload "r.example/p:v1"`, "by digest"}},
		"short digest":        {`{"version":1,"id":"x","state":"Installed","payload":"r.example/p@sha256:ab"}`, []string{"payload", "by digest"}},
		"prefetch by tag":     {`{"version":1,"id":"x","state":"Installed","payload":"` + image("a") + `","prefetch":"r/p:1"}`, []string{`prefetch "r/p:1"`}},
		"payload when absent": {`{"version":1,"id":"x","state":"Absent","payload":"` + image("a") + `"}`, []string{"payload is", "leave it empty"}},
		"unknown packages":    {`{"version":1,"id":"x","state":"Absent","hostPackages":"Snap"}`, []string{`hostPackages "Snap"`, "Auto, Extension, Layered or None"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := node.DecodeIntent(c.document)
			require.ErrorContains(t, err, "reading intent: ")
			for _, part := range c.says {
				assert.ErrorContains(t, err, part)
			}
		})
	}
}

func TestAnIntentThatNobodyCouldFollowIsNotWritten(t *testing.T) {
	t.Parallel()
	_, err := node.Intent{Version: node.Version, ID: "x"}.Encode()
	assert.ErrorContains(t, err, `writing intent: state "" is unknown`)
}

func TestGrantsPingTimeOfIssueAndPrefetchAreNoPartOfTheID(t *testing.T) {
	t.Parallel()
	intent := installation()
	intent.Grants, intent.Issued, intent.ID, intent.Version, intent.Owner.Name = node.Grants{Reboot: "b"}, time.Time{}, "", 0, "renamed"
	intent.Prefetch, intent.Ping = image("b"), time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC)
	assert.Equal(t, installation().ID, intent.Identify(nodeUID).ID)
	assert.Len(t, intent.Identify(nodeUID).ID, 16)
}

func TestEverythingElseIsPartOfTheID(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*node.Intent){
		"owner":    func(i *node.Intent) { i.Owner.UID = "uid-2" },
		"state":    func(i *node.Intent) { i.State, i.Payload = node.StateAbsent, "" },
		"payload":  func(i *node.Intent) { i.Payload = image("b") },
		"packages": func(i *node.Intent) { i.HostPackages = node.HostPackagesAuto },
		"shifted":  func(i *node.Intent) { i.Owner.UID, i.State = "uid-1I", "nstalled" },
	} {
		intent := installation()
		change(&intent)
		assert.NotEqual(t, installation().ID, intent.Identify(nodeUID).ID, name)
	}
	assert.NotEqual(t, installation().ID, installation().Identify("another node").ID)
}

func TestTheIDOfAnIntentThatCannotBeFollowedIsReadAsFarAsPossible(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"version":9,"id":"abc","state":{"new":"form"}}`: "abc",
		`{"id":5}`:   "",
		`{}`:         "",
		`no JSON`:    "",
		`{"id":"x"`:  "",
		`[{"id":1}]`: "",
		`{"id":"` + strings.Repeat("x", 500) + `"}`: strings.Repeat("x", 29) + "…" + strings.Repeat("x", 30),
	} {
		assert.Equal(t, want, node.IntentID(document), document)
	}
}

func TestWhatIsAdmittedIsWhatImageLibrariesRead(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("a", 64)
	for name, admitted := range map[string]bool{
		"registry.example/kata/payload": true, "registry.example:5000/payload": true, "10.98.0.1:5000/kata/payload": true, "localhost/a/b/c": true,
		"registry.example/kata-node/pay__load.x-1": true,
		"docker://registry.example/kata/payload":   false, "oci:registry.example/payload": false, "registry.example/kata/payload:v1": false,
		"registry.example//payload": false, "registry.example/payload/": false, "registry.example/-payload": false, "registry.example/pay..load": false,
		"registry..example/payload": false, "registry.example:/payload": false, "registry.example:port/payload": false, "-registry/payload": false,
		"registry.example/Payload": false, "payload": false, "": false,
	} {
		_, err := node.DecodeIntent(`{"version":1,"id":"x","state":"Installed","payload":"` + name + digest + `"}`)
		assert.Equal(t, admitted, err == nil, name)
		if _, parsed := reference.ParseNamed(name + digest); admitted {
			assert.NoError(t, parsed, name)
		}
	}
}

func TestTheAPIAdmitsTheSameImages(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../v1/kataconfig.go", "../../deploy/10-crd.yaml"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(text), "self.matches('"+node.ImagePattern+"')", file)
	}
}

func TestDigestIsWhatFollowsTheName(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "sha256:"+strings.Repeat("a", 64), node.Digest(image("a")))
	assert.Empty(t, node.Digest("registry.example/p:v1"))
}
