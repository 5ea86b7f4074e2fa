// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestComplaintsAreThoseAboutOneRequest(t *testing.T) {
	t.Parallel()
	const (
		ours   = ` id=f9ee1f0c-0000-4000-8000-000000000001 name=/runtime.v1.RuntimeService/CreateContainer`
		others = ` id=f9ee1f0c-0000-4000-8000-000000000002 name=/runtime.v1.RuntimeService/CreateContainer`
		begun  = `level=info msg="Creating container: kata-agent/proof-x/proof"` + ours
		failed = `level=warning msg="Cleaning up container 12ab: the file pause was not found"`
		shim   = `level=error msg="failed to start the VM" name=containerd-shim-v2 sandbox=77ff`
		panics = `panic: runtime error`
	)
	for name, c := range map[string]struct{ lines, want []string }{
		"of the request":             {[]string{begun, `level=error msg=other` + others, shim, failed + ours}, []string{failed}},
		"of no request":              {[]string{begun, `level=error msg=other` + others, shim, panics}, []string{shim, panics}},
		"of the sandbox":             {[]string{begun, `level=error msg="VM" sandbox=ab12`, shim}, []string{`level=error msg="VM" sandbox=ab12`}},
		"the last ones":              {[]string{begun, "a" + ours, "b" + ours, "c" + ours}, []string{"b", "c"}},
		"nothing":                    {[]string{begun, "", `level=debug msg=x`, `level="info" msg=x`}, nil},
		"before the request is ours": {[]string{failed + ours, begun}, nil},
	} {
		assert.ElementsMatch(t, c.want, systemd.Complaints(c.lines, []string{"proof-x", "ab12", ""}), name)
	}
	assert.Equal(t, []string{`level=info msg=x`, "panic: y"}, systemd.Messages([]byte(`ut":"x"}`+"\n"+`{"MESSAGE":"time=\"2026\" level=info msg=x"}`+"\n"+`{"MESSAGE":[1]}`+"\n"+`{"MESSAGE":" panic: y"}`+"\n")))
}
