// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/Masterminds/semver/v3"
)

// architectures are those for which upstream ships archives, by the names that it uses for them.
var architectures = map[string]string{ //nolint:gochecknoglobals // A constant.
	"amd64": "amd64", "x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64", "s390x": "s390x", "ppc64le": "ppc64le",
}

var (
	upstream  = regexp.MustCompile(`^kata-(go-)?static-(.+)-([a-z0-9_]+)\.tar\.(?:zst|xz|gz)$`)
	sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// complete takes from an archive's name what is not declared, and refuses what contradicts it.
func (a *Archive) complete(kata string) error {
	match := upstream.FindStringSubmatch(a.Name())
	if match == nil {
		return nil
	}
	architecture, known := architectures[match[3]]
	if !known {
		return fmt.Errorf("architecture %q is none of upstream's", match[3])
	}
	if match[2] != kata {
		return fmt.Errorf("its name says version %s, and kata is %q", match[2], kata)
	}
	if a.Architecture != "" && a.Architecture != architecture {
		return fmt.Errorf("its name says architecture %s, and architecture is %q", architecture, a.Architecture)
	}
	a.Architecture = architecture
	if a.Shim == "" {
		a.Shim = shimOf(match[1] != "", Sources{Kata: kata}.split())
	}
	return nil
}

func shimOf(goStatic, split bool) string {
	switch {
	case goStatic:
		return ShimGo
	case split:
		return ShimRuntimeRS
	default:
		return ShimBoth
	}
}

func (s Sources) validate() error {
	if _, err := semver.StrictNewVersion(s.Kata); err != nil {
		return fmt.Errorf("kata is %q: must be a version of Kata such as 4.2.0", s.Kata)
	}
	if s.Name == "" || s.ShimCompatibility == "" {
		return errors.New("name and shimCompatibility are needed")
	}
	seen := map[string]string{}
	for _, a := range s.Archives {
		if err := a.validate(); err != nil {
			return fmt.Errorf("archive %s: %w", a.Location, err)
		}
		for _, shim := range a.shims() {
			key := shim + " for " + a.Architecture
			if other, twice := seen[key]; twice {
				return fmt.Errorf("archives %s and %s both hold the shim %s: declare one", other, a.Location, key)
			}
			seen[key] = a.String()
		}
	}
	return cmp.Or(s.validateSets(), s.validateDirectories())
}

func (a Archive) shims() []string {
	if a.Shim == ShimBoth {
		return []string{ShimGo, ShimRuntimeRS}
	}
	return []string{a.Shim}
}

func (a Archive) validate() error {
	if err := a.Location.validate(); err != nil {
		return err
	}
	if a.Shim != ShimGo && a.Shim != ShimRuntimeRS && a.Shim != ShimBoth {
		return fmt.Errorf("shim is %q, must be go, runtime-rs or both", a.Shim)
	}
	if architectures[a.Architecture] != a.Architecture {
		return fmt.Errorf("architecture is %q, must be amd64, arm64, s390x or ppc64le", a.Architecture)
	}
	return nil
}

func (s Sources) validateSets() error {
	for _, set := range s.RPMs {
		if len(set.Packages) == 0 || set.Set == "" || architectures[set.Architecture] != set.Architecture {
			return fmt.Errorf("RPM set %q: set, architecture and at least one package are needed", set.Set)
		}
		for _, p := range set.Packages {
			if err := p.validate(); err != nil {
				return fmt.Errorf("RPM set %q: package %s: %w", set.Set, p, err)
			}
			if p.Directory != "" {
				return fmt.Errorf("RPM set %q: package %s: must be a url or a file", set.Set, p)
			}
		}
	}
	return nil
}

func (s Sources) validateDirectories() error {
	for _, d := range s.Directories {
		if d.Component == "" || d.Directory == "" {
			return fmt.Errorf("directory %s: component and directory are needed", d.Location)
		}
		if err := d.validate(); err != nil {
			return fmt.Errorf("directory %s: %w", d.Location, err)
		}
	}
	return nil
}

func (l Location) validate() error {
	count := 0
	for _, name := range []string{l.URL, l.File, l.Directory} {
		if name != "" {
			count++
		}
	}
	if count != 1 {
		return errors.New("exactly one of url, file and directory is needed")
	}
	if l.SHA256 != "" && !sha256Hex.MatchString(l.SHA256) {
		return fmt.Errorf("sha256 is %q: must be 64 lower-case hex digits", l.SHA256)
	}
	if l.URL == "" {
		return nil
	}
	u, err := url.Parse(l.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("url must be https:// or http://, without a password; a file of this machine is declared by the key file")
	}
	return nil
}

// CheckPin compares a measured digest with the pin. The error names the measured digest, and what
// to do with it.
func (l Location) CheckPin(measured string) error {
	switch {
	case l.SHA256 == measured:
		return nil
	case l.SHA256 == "" && l.Directory != "":
		return fmt.Errorf("%s is not pinned: its sha256 is %s; look through it, and write that into sources.toml", l, measured)
	case l.SHA256 == "":
		return fmt.Errorf("%s is not pinned: its sha256 is %s; compare that with the release's attestation "+
			"(gh attestation verify, or another place that you trust), and write it into sources.toml", l, measured)
	default:
		return fmt.Errorf("%s has sha256 %s, and sources.toml pins %s: it is damaged, or another file than the reviewed one; get the reviewed one, or review this one and change the pin", l, measured, l.SHA256)
	}
}
