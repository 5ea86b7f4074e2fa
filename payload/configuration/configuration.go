// SPDX-License-Identifier: Apache-2.0

// Package configuration makes the file names in a payload's base configuration lead into that
// payload, wherever it is mounted. It decides on values alone and reads no file.
package configuration

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/payload/manifest"
)

// MaxSize is the largest base configuration that is read, in bytes. The largest of Kata's own has
// 40 KiB.
const MaxSize = 1 << 20

// Check refuses what Render refuses.
func Check(base []byte, m manifest.Manifest) error {
	_, err := Render(base, m, "/")
	return err
}

// Render returns the base configuration of a payload that is mounted at dir, an absolute path.
// Every string below the payload's prefix, in tables and arrays of any depth, becomes the name of
// that file below dir. All other strings name files of the host and stay; without a prefix, the
// whole base does. The error names the first key whose file the payload lacks.
func Render(base []byte, m manifest.Manifest, dir string) ([]byte, error) {
	if m.Prefix == "" {
		return base, nil
	}
	config := map[string]any{}
	if err := toml.Unmarshal(base, &config); err != nil {
		return nil, fmt.Errorf("reading the payload's base configuration: %w", err)
	}
	t := translator{payload: m, dir: dir}
	if err := t.table("", config); err != nil {
		return nil, fmt.Errorf("the payload's base configuration: %w", err)
	}
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(config); err != nil {
		return nil, fmt.Errorf("writing the payload's base configuration: %w", err)
	}
	return out.Bytes(), nil
}

type translator struct {
	payload manifest.Manifest
	dir     string
}

// table translates in the order of the keys, so that the same configuration gives the same error
// each time.
func (t translator) table(at string, table map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		value, err := t.value(strings.TrimPrefix(at+"."+key, "."), table[key])
		if err != nil {
			return err
		}
		table[key] = value
	}
	return nil
}

func (t translator) value(at string, value any) (any, error) {
	switch v := value.(type) {
	case string:
		return t.text(at, v)
	case map[string]any:
		return v, t.table(at, v)
	case []any:
		for i := range v {
			element, err := t.value(fmt.Sprintf("%s[%d]", at, i), v[i])
			if err != nil {
				return nil, err
			}
			v[i] = element
		}
		return v, nil
	default:
		return value, nil
	}
}

func (t translator) text(at, text string) (string, error) {
	if text != t.payload.Prefix && !strings.HasPrefix(text, t.payload.Prefix+"/") {
		return text, nil
	}
	file, found := find(t.payload, path.Clean(text))
	if !found {
		return "", fmt.Errorf("%s is %q: the payload has nothing of that name below its prefix %q; stage it, or name what is there", at, text, t.payload.Prefix)
	}
	return path.Join(t.dir, file), nil
}

// find returns where an absolute name lies in the payload. Payloads are staged in two ways: with
// the prefix as a directory, as upstream's archives unpack, or with what is below the prefix at the
// root.
func find(m manifest.Manifest, name string) (string, bool) {
	below, inside := strings.CutPrefix(name+"/", m.Prefix+"/")
	if !inside {
		return "", false // ".." led out of the prefix
	}
	for _, candidate := range []string{strings.TrimPrefix(name, "/"), path.Clean(below)} {
		if holds(m, candidate) {
			return candidate, true
		}
	}
	return "", false
}

// holds reports whether the payload has that file, a directory of that name, or a file that the
// pattern matches: lists of valid values such as valid_hypervisor_paths may hold patterns.
func holds(m manifest.Manifest, name string) bool {
	if _, err := m.Resolve(name); err == nil || name == "." {
		return true
	}
	if _, listed := m.File(name); listed {
		return false // a link to nothing, or to a directory
	}
	for _, f := range m.Files {
		if strings.HasPrefix(f.Path, name+"/") {
			return true
		}
		if matched, err := path.Match(name, f.Path); err == nil && matched {
			return true
		}
	}
	return false
}
