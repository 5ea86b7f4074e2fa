// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
)

var (
	wordForm         = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}$`)
	architectureForm = regexp.MustCompile(`^[a-z0-9]{1,16}$`)
	handlerForm      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// shimForm is what CRI-O demands of the base name of a runtime_path of type vm.
	shimForm = regexp.MustCompile(`^containerd-shim-[a-zA-Z0-9\-\+]+$`)
	// kernelForm is the part of a kernel's release that every distribution counts in the same way.
	kernelForm = regexp.MustCompile(`^([1-9][0-9]{0,3}\.[0-9]{1,4}(\.[0-9]{1,4})?)?$`)
)

// Validate tells the first thing that makes the manifest unfit to be served, in one sentence that
// names it.
func (m Manifest) Validate() error {
	for _, check := range []func() error{m.validateHead, m.validateComponents, m.validateFiles, m.validateHandlers, m.validateGuest, m.validatePackages} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (m Manifest) validateHead() error {
	if m.Version != Version {
		return fmt.Errorf("version is %d, must be %d", m.Version, Version)
	}
	return cmp.Or(
		form("name", m.Name, wordForm),
		form("payloadVersion", m.PayloadVersion, wordForm),
		form("architecture", m.Architecture, architectureForm),
		form("shimCompatibility", m.ShimCompatibility, wordForm),
		validatePrefix(m.Prefix),
		oneLine("openshift", m.OpenShift),
		oneLine("kubernetes", m.Kubernetes),
		form("requires.oldestKernel", m.Requires.OldestKernel, kernelForm),
	)
}

func (m Manifest) validateComponents() error {
	seen, rest := map[string]bool{}, ""
	for _, c := range m.Components {
		if err := c.validate(); err != nil {
			return fmt.Errorf("component %q: %w", c.Name, err)
		}
		if seen[c.Name] {
			return fmt.Errorf("component %q is listed twice", c.Name)
		}
		seen[c.Name] = true
		if len(c.Paths) > 0 {
			continue
		}
		if rest != "" {
			return fmt.Errorf("components %q and %q both have no paths: only one can take the rest", rest, c.Name)
		}
		rest = c.Name
	}
	return nil
}

func (c Component) validate() error {
	for _, pattern := range c.Paths {
		if err := validatePath(pattern); err != nil {
			return fmt.Errorf("pattern %w", err)
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return cmp.Or(form("name", c.Name, wordForm), form("version", c.Version, wordForm))
}

func (m Manifest) validateHandlers() error {
	if len(m.Handlers) == 0 {
		return errors.New("no handlers: a payload offers at least one")
	}
	seen := map[string]bool{}
	for _, h := range m.Handlers {
		if err := m.validateHandler(h); err != nil {
			return fmt.Errorf("handler %q: %w", h.Name, err)
		}
		if seen[h.Name] {
			return fmt.Errorf("handler %q is listed twice", h.Name)
		}
		seen[h.Name] = true
	}
	return nil
}

func (m Manifest) validateHandler(h Handler) error {
	if h.Type != TypeVM && h.Type != TypeOCI {
		return fmt.Errorf("type is %q, must be vm or oci", h.Type)
	}
	if h.Dialect != DialectGo && h.Dialect != DialectRuntimeRS {
		return fmt.Errorf("dialect is %q, must be go or runtime-rs", h.Dialect)
	}
	return cmp.Or(
		form("name", h.Name, handlerForm),
		form("base name of the shim", path.Base(h.Shim), shimForm),
		m.validateShim(h.Shim),
		m.validateConfig(h.Config),
	)
}

func (m Manifest) validateShim(shim string) error {
	f, err := m.Resolve(shim)
	if err != nil {
		return fmt.Errorf("shim %q: %w", shim, err)
	}
	if !f.Mode.Executable() {
		return fmt.Errorf("shim %q is not executable: its mode is %s", shim, f.Mode)
	}
	return nil
}

func (m Manifest) validateConfig(config string) error {
	if _, err := m.Resolve(config); err != nil {
		return fmt.Errorf("config %q: %w", config, err)
	}
	return nil
}

func validatePrefix(prefix string) error {
	below, absolute := strings.CutPrefix(prefix, "/")
	if prefix != "" && (!absolute || validatePath(below) != nil) {
		return fmt.Errorf("prefix %q is not a clean absolute path below the root, such as /opt/kata", prefix)
	}
	return nil
}

func form(field, value string, want *regexp.Regexp) error {
	if !want.MatchString(value) {
		return fmt.Errorf("%s %q does not have the form %s", field, value, want)
	}
	return nil
}

func oneLine(field, value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("%s %q has control characters", field, value)
	}
	return nil
}
