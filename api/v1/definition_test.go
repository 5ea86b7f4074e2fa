// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// definition is as much of a CustomResourceDefinition as the rules for upgrades look at.
type definition struct {
	Spec struct {
		Group    string
		Scope    string
		Names    struct{ Kind, Plural string }
		Versions []version
	}
}

type version struct {
	Name   string
	Served bool
	Schema struct {
		OpenAPIV3Schema *schema `yaml:"openAPIV3Schema"`
	}
}

// schema is one level of an OpenAPI schema.
type schema struct {
	Type                 string
	Format               string
	Pattern              string
	Nullable             bool
	Default              any
	Required             []string
	Enum                 []string
	ListType             string             `yaml:"x-kubernetes-list-type"`
	ListMapKeys          []string           `yaml:"x-kubernetes-list-map-keys"`
	Properties           map[string]*schema `yaml:"properties"`
	Items                *schema            `yaml:"items"`
	AdditionalProperties *schema            `yaml:"additionalProperties"`
	Bounds               bounds             `yaml:",inline"`
}

// bounds are what values may not exceed; nil for none.
type bounds struct {
	Minimum       *float64 `yaml:"minimum"`
	MinLength     *float64 `yaml:"minLength"`
	MinItems      *float64 `yaml:"minItems"`
	MinProperties *float64 `yaml:"minProperties"`
	Maximum       *float64 `yaml:"maximum"`
	MaxLength     *float64 `yaml:"maxLength"`
	MaxItems      *float64 `yaml:"maxItems"`
	MaxProperties *float64 `yaml:"maxProperties"`
}

func (b bounds) lower() []*float64 {
	return []*float64{b.Minimum, b.MinLength, b.MinItems, b.MinProperties}
}

func (b bounds) upper() []*float64 {
	return []*float64{b.Maximum, b.MaxLength, b.MaxItems, b.MaxProperties}
}

// tighter is true where a value that the former bounds allow is refused now.
func (b bounds) tighter(former bounds) bool {
	stricter := func(now, before []*float64, sign int) bool {
		for i := range now {
			if now[i] != nil && (before[i] == nil || cmp.Compare(*now[i], *before[i]) == sign) {
				return true
			}
		}
		return false
	}
	return stricter(b.lower(), former.lower(), 1) || stricter(b.upper(), former.upper(), -1)
}

// unsafe lists what OLM's check of CRD upgrades refuses: stored objects have to stay valid, and
// clients have to keep working. Rules in CEL are no part of that check; objects are.
func unsafe(from, to definition) []string {
	var out []string
	if from.Spec.Group != to.Spec.Group || from.Spec.Scope != to.Spec.Scope || from.Spec.Names != to.Spec.Names {
		out = append(out, "group, scope or names have changed")
	}
	for _, before := range from.Spec.Versions {
		i := slices.IndexFunc(to.Spec.Versions, func(v version) bool { return v.Name == before.Name })
		if i < 0 || before.Served && !to.Spec.Versions[i].Served {
			out = append(out, before.Name+" is not served any more")
			continue
		}
		out = append(out, before.Schema.OpenAPIV3Schema.changed(before.Name, to.Spec.Versions[i].Schema.OpenAPIV3Schema)...)
	}
	slices.Sort(out)
	return out
}

// changed lists what is unsafe at this level and below it.
func (s *schema) changed(path string, to *schema) []string {
	switch {
	case s == nil:
		return nil
	case to == nil:
		return []string{path + ": the field is deleted"}
	}
	var out []string
	for problem, is := range map[string]bool{
		"another type":                s.Type != to.Type || s.Format != to.Format,
		"another default":             !reflect.DeepEqual(s.Default, to.Default),
		"null is refused":             s.Nullable && !to.Nullable,
		"another pattern":             to.Pattern != "" && to.Pattern != s.Pattern,
		"a new required field":        len(without(to.Required, s.Required)) > 0,
		"a value is refused":          len(to.Enum) > 0 && (len(s.Enum) == 0 || len(without(s.Enum, to.Enum)) > 0),
		"tighter bounds":              to.Bounds.tighter(s.Bounds),
		"another merge of list items": s.ListType != to.ListType || !slices.Equal(s.ListMapKeys, to.ListMapKeys),
	} {
		if is {
			out = append(out, path+": "+problem)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		out = append(out, s.Properties[name].changed(path+"."+name, to.Properties[name])...)
	}
	out = append(out, s.Items.changed(path+"[]", to.Items)...)
	return append(out, s.AdditionalProperties.changed(path+"{}", to.AdditionalProperties)...)
}

func without(all, those []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(those, s) })
}

func read(t *testing.T, path string) (d definition) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &d))
	require.Len(t, d.Spec.Versions, 1)
	require.NotEmpty(t, d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties)
	return d
}

// present is the definition that deploy/ ships.
const present = "../../deploy/10-crd.yaml"

// unreleased lists what was unsafe before the first release, in fields that only the controller
// writes. Nothing may be added.
func unreleased() []string {
	return []string{"v1.status.payloads: tighter bounds"}
}

func TestUpgradesFromEveryFormerDefinitionAreSafe(t *testing.T) {
	t.Parallel()
	former, err := filepath.Glob("testdata/revisions/*/definition.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, former)
	to := read(t, present)
	for _, path := range former {
		assert.Empty(t, without(unsafe(read(t, path), to), unreleased()), "from %s", path)
	}
}

func TestAnUpgradeThatIsUnsafeIsNoticed(t *testing.T) {
	t.Parallel()
	top := func(d definition) *schema { return d.Spec.Versions[0].Schema.OpenAPIV3Schema }
	config := func(d definition) map[string]*schema {
		return top(d).Properties["spec"].Properties["config"].Properties
	}
	one := 1.0
	for want, spoil := range map[string]func(definition) definition{
		"group, scope or names have changed":          func(d definition) definition { d.Spec.Scope = "Namespaced"; return d },
		"v1 is not served any more":                   func(d definition) definition { d.Spec.Versions[0].Served = false; return d },
		"v1.spec.config.paused: the field is deleted": func(d definition) definition { delete(config(d), "paused"); return d },
		"v1.spec.config.paused: another type":         func(d definition) definition { config(d)["paused"].Type = "string"; return d },
		"v1.spec.config.paused: another default":      func(d definition) definition { config(d)["paused"].Default = true; return d },
		"v1.spec.config.payloadImage: another pattern": func(d definition) definition {
			config(d)["payloadImage"].Pattern = "^x$"
			return d
		},
		"v1.spec.config.payloadImage: tighter bounds": func(d definition) definition {
			config(d)["payloadImage"].Bounds.MaxLength = &one
			return d
		},
		"v1.spec.config.maxParallel: tighter bounds": func(d definition) definition {
			config(d)["maxParallel"].Bounds.Minimum = &one
			return d
		},
		"v1.spec.config.hostPackages: a value is refused": func(d definition) definition {
			config(d)["hostPackages"].Enum = config(d)["hostPackages"].Enum[1:]
			return d
		},
		"v1.spec.config: null is refused": func(d definition) definition {
			top(d).Properties["spec"].Properties["config"].Nullable = false
			return d
		},
		"v1.spec: a new required field": func(d definition) definition {
			top(d).Properties["spec"].Required = []string{"config"}
			return d
		},
		"v1.status.conditions: another merge of list items": func(d definition) definition {
			top(d).Properties["status"].Properties["conditions"].ListMapKeys = []string{"reason"}
			return d
		},
		"v1.spec.kataConfigPoolSelector.matchExpressions[].key: the field is deleted": func(d definition) definition {
			delete(top(d).Properties["spec"].Properties["kataConfigPoolSelector"].Properties["matchExpressions"].Items.Properties, "key")
			return d
		},
		"v1.spec.kataConfigPoolSelector.matchLabels{}: another type": func(d definition) definition {
			top(d).Properties["spec"].Properties["kataConfigPoolSelector"].Properties["matchLabels"].AdditionalProperties.Type = "integer"
			return d
		},
	} {
		assert.Equal(t, []string{want}, unsafe(read(t, present), spoil(read(t, present))), want)
	}
}
