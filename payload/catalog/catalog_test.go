// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/payload/catalog"
)

// image is a payload that is known by one letter.
func image(letter string) string {
	return "registry.example.com/kata/payload@sha256:" + strings.Repeat(letter, 64)
}

// entries returns a document with these lines as entries.
func entries(lines ...string) string {
	out := "format: 1\npayloads:\n"
	for _, line := range lines {
		out += "  - {" + line + "}\n"
	}
	return out
}

func entry(letter, rest string) string { return fmt.Sprintf("image: '%s', %s", image(letter), rest) }

const documented = `# What our nodes run.
format: 1
payloads:
  - image: registry.example.com/kata/payload@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    version: 3.18.0 # until the end of 2026
    openshift: ">=4.17, <4.20"
  # RHEL 9 and RHEL 10 pools
  - image: registry.example.com/kata/payload@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    openshift: ~4.20
    rhel: [9]
  - image: registry.example.com/kata/payload@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
    openshift: ~4.20
    rhel: [10]
    architectures: [amd64]
  - image: registry.example.com/kata/payload@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    kubernetes: ">=1.30, <1.34"
`

func TestParseNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", catalog.MaxBytes)
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", "reading catalogue: it is empty: begin with the keys format"},
		"no YAML":          {"format: [", "reading catalogue: yaml: line 1"},
		"too large":        {"# " + long, "reading catalogue: 65538 bytes are more than 65536"},
		"two documents":    {entries(entry("a", "openshift: ~4.17")) + "---\nformat: 1\n", "something follows the first document"},
		"unknown key":      {entries(entry("a", "openshift: ~4.17")) + "payload: 1\n", "line 4: field payload not found"},
		"unknown in entry": {entries(entry("a", "openshfit: ~4.17")), "line 3: field openshfit not found"},
		"key twice":        {entries(entry("a", "openshift: ~4.17, openshift: ~4.18")), `line 3: mapping key "openshift" already defined at line 3`},
		"anchor":           {"format: &x 1\npayloads: []\n", "line 1: anchors and aliases are not read"},
		"format":           {"format: 2\npayloads: []\n", "format is 2: this program reads 1"},
		"no entries":       {"format: 1\n", "payloads is empty"},
		"too many":         {entries(strings.Split(strings.Repeat("image: x|", 101), "|")...), "entries are more than 100"},
		"no image":         {entries("openshift: ~4.17"), "entry 1 (line 3): image is empty"},
		"tag":              {entries("image: 'registry.example.com/kata:1', openshift: ~4.17"), `image "registry.example.com/kata:1" is not an image by digest`},
		"version":          {entries(entry("a", `version: "1\n2", openshift: ~4.17`)), "version is not one line of at most 40 bytes"},
		"no range":         {entries(entry("a", "version: '3'")), "entry 1 (line 3, 3): it is for no version"},
		"pre-release":      {entries(entry("a", "openshift: '>=4.20.0-rc.1'")), "openshift \">=4.20.0-rc.1\" is no range"},
		"alternatives":     {entries(entry("a", "openshift: '~4.17 || ~4.19'")), "is no range: compare with releases"},
		"wildcard":         {entries(entry("a", "kubernetes: 1.30.x")), "kubernetes \"1.30.x\" is no range"},
		"patch version":    {entries(entry("a", "openshift: '>=4.17.5'")), "compares with 4.17.5: write the minor version alone, such as 4.17"},
		"nothing in range": {entries(entry("a", "openshift: '>=4.20, <4.17'")), "has no version in it: its end is below its beginning"},
		"architecture":     {entries(entry("a", "openshift: ~4.17, architectures: [x86_64]")), `architecture "x86_64" is no name as Go and Kubernetes use it`},
		"twice":            {entries(entry("a", "openshift: ~4.17, architectures: [arm64, arm64], rhel: [9, 9]")), `architecture "arm64" is named twice; rhel 9 is named twice`},
		"RHEL":             {entries(entry("a", "openshift: ~4.17, rhel: [418]")), "rhel 418 is no major version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalog.Parse([]byte(c.text))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestParseRefusesOverlapsAndGapsByName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  string // empty where the document is good
	}{
		"adjacent":              {[]string{entry("a", "openshift: '<4.18'"), entry("b", "openshift: '>=4.18 <=4.20'"), entry("c", "openshift: '>4.20'")}, ""},
		"in any order":          {[]string{entry("b", "openshift: '>=4.20'"), entry("a", "openshift: '<4.20'")}, ""},
		"different axes":        {[]string{entry("a", "openshift: '>=4.17'"), entry("b", "kubernetes: '>=1.30'")}, ""},
		"different systems":     {[]string{entry("a", "openshift: '>=4.17', rhel: [9]"), entry("b", "openshift: '>=4.17', rhel: [10]")}, ""},
		"different processors":  {[]string{entry("a", "openshift: '>=4.17', architectures: [amd64]"), entry("b", "openshift: '>=4.17', architectures: [arm64]")}, ""},
		"later on another":      {[]string{entry("a", "openshift: '<4.20', architectures: [amd64]"), entry("b", "openshift: '>=4.22', architectures: [arm64]")}, ""},
		"overlap":               {[]string{entry("a", "version: one, openshift: '>=4.17'"), entry("b", "version: two, openshift: ~4.20")}, "checking catalogue: entry 1 (line 3, one) and entry 2 (line 4, two) are both for OpenShift from 4.20 to below 4.21: end one of the ranges earlier"},
		"overlap without end":   {[]string{entry("a", "openshift: '>=4.17'"), entry("b", "openshift: '>=4.20'")}, "are both for OpenShift 4.20 and newer"},
		"overlap from the past": {[]string{entry("a", "openshift: '<4.17'"), entry("b", "openshift: '<=4.17'")}, "are both for OpenShift below 4.17"},
		"overlap by one":        {[]string{entry("a", "kubernetes: '<=1.30.2'"), entry("b", "kubernetes: '>=1.30.2'")}, "are both for Kubernetes from 1.30.2 to below 1.30.3"},
		"overlap of all":        {[]string{entry("a", "openshift: '>=4.17'"), entry("b", "openshift: '>=4.17', architectures: [arm64]")}, "are both for OpenShift 4.17 and newer"},
		"gap":                   {[]string{entry("a", "version: one, openshift: ~4.17"), entry("b", "version: two, openshift: '>=4.20'")}, "checking catalogue: no entry is for OpenShift from 4.18 to below 4.20, between entry 1 (line 3, one) and entry 2 (line 4, two): widen one of their ranges"},
		"gap of a patch":        {[]string{entry("a", "kubernetes: '<1.30.2'"), entry("b", "kubernetes: '>1.30.2'")}, "no entry is for Kubernetes from 1.30.2 to below 1.30.3"},
		"gap between majors":    {[]string{entry("a", "openshift: '>=4.17, <4.23'"), entry("b", "openshift: '>=5.0'")}, "no entry is for OpenShift from 4.23 to below 5.0"},
		"gap on one processor":  {[]string{entry("a", "openshift: '<4.18'"), entry("b", "openshift: ~4.18, architectures: [amd64]"), entry("c", "openshift: '>4.18'")}, "no entry is for OpenShift from 4.18 to below 4.19, between"},
		"gap on one system":     {[]string{entry("a", "openshift: '<4.18', rhel: [10]"), entry("b", "openshift: '>=4.17', rhel: [9]"), entry("c", "openshift: '>4.18', rhel: [10]")}, "no entry is for OpenShift from 4.18 to below 4.19 on RHEL 10, between"},
		"several":               {[]string{entry("a", "openshift: ~4.17"), entry("b", "openshift: ~4.19"), entry("c", "openshift: ~4.21")}, "; no entry is for OpenShift from 4.20 to below 4.21"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalog.Parse([]byte(entries(c.lines...)))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	c, err := catalog.Parse([]byte(documented))
	require.NoError(t, err)
	const amd64, arm64 = "amd64", "arm64"
	for name, r := range map[string]struct {
		target catalog.Target
		want   string // the payload's letter, or the reason
	}{
		"first of a range":               {catalog.Target{OpenShift: "4.17", Architecture: amd64, RHEL: 9}, "a"},
		"last of a range":                {catalog.Target{OpenShift: "4.19", Architecture: amd64, RHEL: 9}, "a"},
		"a patch version":                {catalog.Target{OpenShift: "4.19.24", Architecture: amd64, RHEL: 9}, "a"},
		"a candidate is its release":     {catalog.Target{OpenShift: "4.20.0-rc.1", Architecture: amd64, RHEL: 9}, "b"},
		"a nightly is its release":       {catalog.Target{OpenShift: "4.20.0-0.nightly-2025-08-26-013519", Architecture: amd64, RHEL: 9}, "b"},
		"the other system":               {catalog.Target{OpenShift: "4.20", Architecture: amd64, RHEL: 10}, "c"},
		"the other system, not built":    {catalog.Target{OpenShift: "4.20", Architecture: arm64, RHEL: 10}, "no entry of the catalogue is for OpenShift 4.20 on arm64, RHEL 10: it has >=4.17, <4.20"},
		"OpenShift is never Kubernetes":  {catalog.Target{OpenShift: "4.21", Kubernetes: "v1.33.5", Architecture: amd64, RHEL: 9}, "no entry of the catalogue is for OpenShift 4.21 on amd64, RHEL 9: it has >=4.17, <4.20; ~4.20"},
		"Kubernetes":                     {catalog.Target{Kubernetes: "v1.33.5", Architecture: amd64}, "d"},
		"metadata of a build":            {catalog.Target{Kubernetes: "v1.33.2+1a2b3c4", Architecture: amd64}, "d"},
		"a vendor's suffix":              {catalog.Target{Kubernetes: "v1.30.14-eks-1a2b3c4", Architecture: amd64}, "d"},
		"a candidate of what is too new": {catalog.Target{Kubernetes: "v1.34.0-rc.1", Architecture: amd64}, "no entry of the catalogue is for Kubernetes 1.34 on amd64: it has >=1.30, <1.34"},
		"nothing is known":               {catalog.Target{}, `"" is no version of Kubernetes, such as v1.33.5`},
		"what is no version":             {catalog.Target{OpenShift: "latest"}, `"latest" is no version of OpenShift, such as 4.20`},
		"a very long one":                {catalog.Target{Kubernetes: strings.Repeat("1", 200)}, "it is longer than 100 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := c.Resolve(r.target)
			if len(r.want) > 1 {
				require.ErrorContains(t, err, r.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, image(r.want), e.Image)
		})
	}
}

// A catalogue for Kubernetes alone is for OpenShift's nodes, too: the kubelet's version is what it
// chooses by.
func TestResolveWithoutOpenShiftRanges(t *testing.T) {
	t.Parallel()
	c, err := catalog.Parse([]byte(entries(entry("a", "kubernetes: '>=1.30'"))))
	require.NoError(t, err)
	e, err := c.Resolve(catalog.Target{OpenShift: "4.20", Kubernetes: "v1.33.5"})
	require.NoError(t, err)
	require.Equal(t, image("a"), e.Image)

	c, err = catalog.Parse([]byte(entries(entry("a", "openshift: '>=4.17'"))))
	require.NoError(t, err)
	_, err = c.Resolve(catalog.Target{Kubernetes: "v1.33.5"})
	require.ErrorContains(t, err, "no entry of the catalogue is for Kubernetes 1.33.5: it has no range of Kubernetes")
}

func TestAddKeepsOrderAndComments(t *testing.T) {
	t.Parallel()
	out, err := catalog.Add([]byte(documented), catalog.Entry{Image: image("e"), Version: "4.0.0", Kubernetes: ">=1.34", Architectures: []string{"amd64"}})
	require.NoError(t, err)
	require.Equal(t, documented+`  - image: `+image("e")+`
    version: 4.0.0
    kubernetes: '>=1.34'
    architectures: [amd64]
`, string(out))
}

func TestAdd(t *testing.T) {
	t.Parallel()
	out, err := catalog.Add(nil, catalog.Entry{Image: image("a"), OpenShift: ">=4.17"})
	require.NoError(t, err)
	require.Equal(t, "format: 1\npayloads:\n  - image: "+image("a")+"\n    openshift: '>=4.17'\n", string(out))

	_, err = catalog.Add(out, catalog.Entry{Image: image("b"), OpenShift: ">=4.20"})
	require.ErrorContains(t, err, "are both for OpenShift 4.20 and newer")

	gapped := entries(entry("a", "openshift: ~4.17"), entry("c", "openshift: ~4.19"))
	_, err = catalog.Parse([]byte(gapped))
	require.Error(t, err)
	out, err = catalog.Add([]byte(gapped), catalog.Entry{Image: image("b"), OpenShift: "~4.18"})
	require.NoError(t, err, "what closes a gap is taken")
	c, err := catalog.Parse(out)
	require.NoError(t, err)
	require.Equal(t, []string{image("a"), image("c"), image("b")}, c.Images())

	_, err = catalog.Add([]byte("format: 1\n"), catalog.Entry{Image: image("b"), OpenShift: "~4.18"})
	require.ErrorContains(t, err, "it has no list payloads")
}

func TestAnOpenRangeEndsWhereTheNextOneBegins(t *testing.T) {
	t.Parallel()
	text := "# ours\nformat: 1\npayloads:\n  # the first\n  - image: " + image("a") + "\n    version: one\n    openshift: '>=4.17' # no end\n    kubernetes: '>=1.30, <1.34'\n"
	next := catalog.Entry{Image: image("b"), OpenShift: ">=4.20", Kubernetes: ">=1.34"}
	ended, changes, err := catalog.End([]byte(text), next)
	require.NoError(t, err)
	require.Equal(t, []string{`entry 1 (line 5, one): openshift ">=4.17" is now ">=4.17, <4.20"`}, changes)
	require.Equal(t, strings.Replace(text, "'>=4.17'", "'>=4.17, <4.20'", 1), string(ended))
	_, err = catalog.Add(ended, next)
	require.NoError(t, err)
}

func TestARangeIsEndedOnlyWhereNoNodeLosesItsPayload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old   string
		next  catalog.Entry
		ended bool
	}{
		"the same places":         {"openshift: '>=4.17', architectures: [arm64]", catalog.Entry{OpenShift: ">4.19", Architectures: []string{"amd64", "arm64"}}, true},
		"patch versions":          {"kubernetes: '>=1.30.2'", catalog.Entry{Kubernetes: ">=1.30.5"}, true},
		"from the beginning":      {"openshift: '>4.0'", catalog.Entry{OpenShift: ">=4.20"}, true},
		"the new one ends":        {"openshift: '>=4.17'", catalog.Entry{OpenShift: ">=4.20, <4.22"}, false},
		"the old one ends":        {"openshift: '>=4.17, <4.30'", catalog.Entry{OpenShift: ">=4.20"}, false},
		"the new one is older":    {"openshift: '>=4.17'", catalog.Entry{OpenShift: ">=4.16"}, false},
		"fewer processors":        {"openshift: '>=4.17'", catalog.Entry{OpenShift: ">=4.20", Architectures: []string{"amd64"}}, false},
		"another system":          {"openshift: '>=4.17', rhel: [9]", catalog.Entry{OpenShift: ">=4.20", RHEL: []int{10}}, false},
		"another kind of version": {"openshift: '>=4.17'", catalog.Entry{Kubernetes: ">=1.30"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.next.Image = image("b")
			text := []byte(entries(entry("a", c.old)))
			ended, changes, err := catalog.End(text, c.next)
			require.NoError(t, err)
			require.Equal(t, c.ended, len(changes) == 1, changes)
			if !c.ended {
				require.Equal(t, string(text), string(ended))
				return
			}
			_, err = catalog.Add(ended, c.next)
			require.NoError(t, err)
		})
	}
	_, _, err := catalog.End([]byte("format: 2\n"), catalog.Entry{})
	require.ErrorContains(t, err, "this program reads 1")
	_, _, err = catalog.End([]byte(entries(entry("a", "openshift: ~4.17"))), catalog.Entry{Image: image("b"), OpenShift: "x"})
	require.ErrorContains(t, err, "reading the new entry: openshift \"x\" is no range")
}

// The sample of deploy/ is one that an administrator may begin with.
func TestTheSampleIsGood(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/samples/catalog.yaml")
	require.NoError(t, err)
	var m struct {
		Data map[string]string `yaml:"data"`
	}
	require.NoError(t, yaml.Unmarshal(text, &m))
	c, err := catalog.Parse([]byte(m.Data["catalog.yaml"]))
	require.NoError(t, err)
	require.Len(t, c.Entries(), 4)
}
