// SPDX-License-Identifier: Apache-2.0

package machineconfig_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/ignition/machineconfig"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	root  = "../.."
	image = "registry.example/kata/agent@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func options(release string) machineconfig.Options {
	return machineconfig.Options{OpenShift: release, Image: image, Role: "worker"}
}

func TestMachineConfigsAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	for _, release := range machineconfig.OpenShift() {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			rendered, err := machineconfig.Render(root, options(release))
			require.NoError(t, err)
			golden := filepath.Join("testdata", "openshift-"+release+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, rendered, 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(rendered), "run go test ./machineconfig -update and review the difference")
		})
	}
}

func TestAnImageWithoutDigestIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	digest := image[strings.Index(image, "@"):]
	for _, bad := range []string{"", "registry.example/kata/agent:latest", "registry.example/kata/agent", digest, "a b" + digest, "a%h" + digest, image + "0", "a$b" + digest, "docker://" + image, "registry.example//agent" + digest, "registry.example/Agent" + digest} {
		_, err := machineconfig.Render(root, machineconfig.Options{OpenShift: "4.18", Image: bad, Role: "worker"})
		require.ErrorContains(t, err, "name the image by digest", bad)
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestTheFormOfAnImageIsThatOfTheProtocol(t *testing.T) {
	t.Parallel()
	protocol, err := os.ReadFile(filepath.Join(root, "api/node/image.go"))
	require.NoError(t, err)
	own, err := os.ReadFile("render.go")
	require.NoError(t, err)
	for theirs, ours := range map[string]string{"ImagePattern = `": "imageForm = `", "PrefixPattern = `": "allowedForm = `"} {
		_, pattern, found := strings.Cut(string(protocol), theirs)
		require.True(t, found)
		pattern, _, _ = strings.Cut(pattern, "`")
		assert.Regexp(t, `(?m)^\s*`+strings.Fields(ours)[0]+" *= `"+regexp.QuoteMeta(pattern)+"`", string(own))
	}
}

func TestEveryReleaseThatButaneKnowsIsRendered(t *testing.T) {
	t.Parallel()
	for minor := 17; minor < 40; minor++ {
		release := fmt.Sprintf("4.%d", minor)
		_, err := machineconfig.Render(root, options(release))
		assert.Equal(t, slices.Contains(machineconfig.OpenShift(), release), err == nil, "%s: %v", release, err)
	}
}

func TestPayloadsFromElsewhereAreNotAllowed(t *testing.T) {
	t.Parallel()
	for want, allowed := range map[string][]string{
		`allowed_payloads = ["registry.example/kata/"]`:                    nil,
		`allowed_payloads = ["mirror.example:5000/a", "other.example/b/"]`: {"mirror.example:5000/a", "other.example/b/"},
	} {
		o := options("4.19")
		o.AllowedPayloads = allowed
		rendered, err := machineconfig.Render(root, o)
		require.NoError(t, err)
		assert.Contains(t, content(t, rendered, "/etc/kata-agent/10-allowed-payloads.toml"), "\n"+want+"\n")
	}
	o := options("4.19")
	o.AllowedPayloads = []string{`a"]`}
	_, err := machineconfig.Render(root, o)
	assert.ErrorContains(t, err, "ALLOWED_PAYLOADS")
}

func TestARoleThatIsNoPoolNameIsRefused(t *testing.T) {
	t.Parallel()
	_, err := machineconfig.Render(root, machineconfig.Options{OpenShift: "4.18", Image: image, Role: "worker: x"})
	require.ErrorContains(t, err, "is not the name of a machine config pool")
}

func TestAnUnknownReleaseIsRefused(t *testing.T) {
	t.Parallel()
	_, err := machineconfig.Render(root, options("4.99"))
	require.ErrorContains(t, err, "translating")
}

func TestAnyRemarkOfButaneIsAnError(t *testing.T) {
	t.Parallel()
	dir := copySources(t)
	appendTo(t, filepath.Join(dir, machineconfig.Source), "unheard_of: true\n")
	_, err := machineconfig.Render(dir, options("4.18"))
	require.ErrorContains(t, err, "unheard_of")
}

func TestAnInvalidUnitIsRefused(t *testing.T) {
	t.Parallel()
	dir := copySources(t)
	appendTo(t, filepath.Join(dir, "ignition/kata-agent-pull.service"), "[Broken\n")
	_, err := machineconfig.Render(dir, options("4.19"))
	require.Error(t, err)
}

func TestAMachineConfigThatLeavesNoRoomForOthersIsRefused(t *testing.T) {
	t.Parallel()
	dir := copySources(t)
	appendTo(t, filepath.Join(dir, "ignition/pull-agent"), strings.Repeat("#", 100<<10))
	_, err := machineconfig.Render(dir, options("4.18"))
	require.ErrorContains(t, err, "more than our share")
}

func TestTmpfilesDifferFromThePackagedOnesInThePathOfTheBinaryOnly(t *testing.T) {
	t.Parallel()
	packaged, err := os.ReadFile(filepath.Join(root, "systemd/usr/lib/tmpfiles.d/kata-node-agent.conf"))
	require.NoError(t, err)
	ours, err := os.ReadFile(filepath.Join(root, "ignition/tmpfiles.conf"))
	require.NoError(t, err)
	moved := strings.ReplaceAll(string(packaged), "/usr/libexec/kata-agent/", "/var/lib/kata-agent/bin/current/")
	assert.Equal(t, moved, string(ours))
	assert.NotEqual(t, string(packaged), string(ours))
}

// content is that of a file in a rendered MachineConfig.
func content(t *testing.T, rendered []byte, path string) string {
	t.Helper()
	var m struct {
		Spec struct {
			Config struct {
				Storage struct {
					Files []struct {
						Path     string
						Contents struct{ Source string }
					}
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(rendered, &m))
	for _, f := range m.Spec.Config.Storage.Files {
		if encoded, ok := strings.CutPrefix(f.Contents.Source, "data:;base64,"); ok && f.Path == path {
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			require.NoError(t, err)
			return string(decoded)
		}
	}
	t.Fatalf("%s is not in the MachineConfig", path)
	return ""
}

// copySources is a root with everything Render reads.
func copySources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{machineconfig.Source, "ignition/pull-agent", "ignition/tmpfiles.conf", "ignition/kata-agent-pull.service", "systemd/usr/lib/systemd/system/kata-node-agent.service"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	_, err := machineconfig.Render(dir, options("4.18"))
	require.NoError(t, err, "the copy renders before it is spoiled")
	return dir
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// The operator parses no version that is newer than the one which its release came with, and no
// 3.6 at all.
func TestEachReleaseGetsAVersionOfIgnitionThatItsOperatorParses(t *testing.T) {
	t.Parallel()
	newest := map[string]string{"4.17": "3.4.0", "4.18": "3.4.0", "4.19": "3.5.0", "4.20": "3.5.0", "4.21": "3.5.0"}
	for _, release := range machineconfig.OpenShift() {
		rendered, err := machineconfig.Render(root, options(release))
		require.NoError(t, err)
		var m struct {
			Spec struct {
				Config struct{ Ignition struct{ Version string } }
			}
		}
		require.NoError(t, yaml.Unmarshal(rendered, &m))
		require.Contains(t, newest, release)
		assert.LessOrEqual(t, m.Spec.Config.Ignition.Version, newest[release], release)
	}
}

func TestThePolicyComesBeforeWhatItIsFor(t *testing.T) {
	t.Parallel()
	all, err := machineconfig.All(root, options(""))
	require.NoError(t, err)
	require.Len(t, all, len(machineconfig.OpenShift())+2)
	assert.Equal(t, machineconfig.Policy, all[0].Name)
	assert.Contains(t, all[0].Purpose, "apply first")
	assert.Equal(t, machineconfig.RemovalPolicy, all[len(all)-1].Name)
}
