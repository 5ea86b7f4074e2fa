// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABadKataConfigIsRefusedWithFieldAndRemedy(t *testing.T) {
	t.Parallel()
	c := control(t)
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "10-crd.yaml")))
	expression := func(e string) string { return "{kataConfigPoolSelector: {matchExpressions: [" + e + "]}}" }
	labels := func(l string) string { return "{kataConfigPoolSelector: {matchLabels: {" + l + "}}}" }
	config := func(f string) string { return "{config: {" + f + "}}" }
	for name, x := range map[string]struct{ spec, field, remedy string }{
		"unknown operator":        {expression("{key: a, operator: Equals, values: [b]}"), "matchExpressions[0].operator", `supported values: "In", "NotIn", "Exists", "DoesNotExist"`},
		"In without values":       {expression("{key: a, operator: In}"), "matchExpressions[0]", "operators In and NotIn need at least one value"},
		"NotIn with none":         {expression("{key: a, operator: NotIn, values: []}"), "matchExpressions[0]", "operators In and NotIn need at least one value"},
		"Exists with values":      {expression("{key: a, operator: Exists, values: [b]}"), "matchExpressions[0]", "Exists and DoesNotExist take none, remove them"},
		"key with a space":        {expression("{key: 'a b', operator: Exists}"), "matchExpressions[0].key", "write name or domain/name"},
		"empty key":               {expression("{key: '', operator: Exists}"), "matchExpressions[0].key", "at least 1 char"},
		"value with a slash":      {expression("{key: a, operator: In, values: ['b/c']}"), "matchExpressions[0].values[0]", "beginning and ending with a letter or digit"},
		"label key":               {labels("'-a': b"), "matchLabels", "write name or domain/name"},
		"label key is too long":   {labels("'" + strings.Repeat("a", 64) + "': b"), "matchLabels", "write name or domain/name"},
		"label value":             {labels("a: 'b c'"), "matchLabels[a]", "beginning and ending with a letter or digit"},
		"label value is too long": {labels("a: " + strings.Repeat("b", 64)), "matchLabels.a", "63"},
		"a tag":                   {config("payloadImage: 'quay.io/kata/payload:1.0'"), "config.payloadImage", "write registry/repository@sha256:<64 hex digits>"},
		"a short digest":          {config("payloadImage: 'quay.io/kata/payload@sha256:abc'"), "config.payloadImage", "write registry/repository@sha256:<64 hex digits>"},
		"no registry":             {config("payloadImage: 'payload@sha256:" + strings.Repeat("a", 64) + "'"), "config.payloadImage", "write registry/repository@sha256:<64 hex digits>"},
		"unknown host packages":   {config("hostPackages: Sometimes"), "config.hostPackages", `supported values: "Auto", "Extension", "Layered", "None"`},
		"nobody in parallel":      {config("maxParallel: 0"), "config.maxParallel", "allow at least one node at a time"},
		"negative parallel":       {config("maxParallel: -3"), "config.maxParallel", "allow at least one node at a time"},
		"nobody unavailable":      {config("maxUnavailable: 0"), "config.maxUnavailable", "allow at least one node"},
		"zero percent":            {config("maxUnavailable: 0%"), "config.maxUnavailable", "write 2 or 10%"},
		"above 100 percent":       {config("maxUnavailable: 101%"), "config.maxUnavailable", "write 2 or 10%"},
		"a number as text":        {config("maxUnavailable: '2'"), "config.maxUnavailable", "write 2 or 10%"},
		"foreign resource":        {config("overhead: {podFixed: {nvidia.com/gpu: 1}}"), "config.overhead.podFixed", "cpu, memory and ephemeral-storage"},
		"negative overhead":       {config("overhead: {podFixed: {cpu: -250m}}"), "config.overhead.podFixed", "write what a sandbox costs"},
		"negative number":         {config("overhead: {podFixed: {cpu: -1}}"), "config.overhead.podFixed", "write what a sandbox costs"},
		"beyond an int32":         {config("maxUnavailable: 2147483648"), "config.maxUnavailable", "between 1 and 2147483647"},
		"no failure allowed":      {config("maxFailures: 0"), "config.maxFailures", "between 1 and 2147483647"},
		"failures as text":        {config("maxFailures: many"), "config.maxFailures", "write 2 or 10%"},
		"thousandths of a byte":   {config("overhead: {podFixed: {memory: 350m}}"), "config.overhead.podFixed", "write Mi, such as memory: 350Mi"},
		"bytes as a number":       {config("overhead: {podFixed: {memory: 350}}"), "config.overhead.podFixed", "write Mi, such as memory: 350Mi"},
		"more than any node has":  {config("overhead: {podFixed: {memory: 1Ei}}"), "config.overhead.podFixed", "a quantity of 1Ti or more"},
		"an odd exponent":         {config("overhead: {podFixed: {cpu: '1e1.5'}}"), "config.overhead.podFixed", "something that is no quantity"},
		"whole CPUs":              {config("overhead: {podFixed: {cpu: 250}}"), "config.overhead.podFixed", "write m, such as cpu: 250m"},
		"whole CPUs as text":      {config("overhead: {podFixed: {cpu: '250'}}"), "config.overhead.podFixed", "write m, such as cpu: 250m"},
		"a fraction of a byte":    {config("overhead: {podFixed: {ephemeral-storage: 350m}}"), "config.overhead.podFixed", "a fraction of a byte of ephemeral-storage"},
		"less than nobody":        {config("maxUnavailable: -1"), "config.maxUnavailable", "between 1 and 2147483647"},
		"a negative percentage":   {config("maxUnavailable: '-10%'"), "config.maxUnavailable", "write 2 or 10%"},
		"all failures and more":   {config("maxFailures: 150%"), "config.maxFailures", "write 2 or 10%"},
		"negative failures":       {config("maxFailures: -3"), "config.maxFailures", "between 1 and 2147483647"},
		"failures past an int32":  {config("maxFailures: 2147483648"), "config.maxFailures", "between 1 and 2147483647"},
		"parallel past an int32":  {config("maxParallel: 2147483648"), "config.maxParallel", "int32"},
		"seconds past an int64":   {config("tolerations: [{key: a, effect: NoExecute, tolerationSeconds: 9223372036854775808}]"), "config.tolerations[0].tolerationSeconds", "int"},
		"a domain with a gap":     {expression("{key: 'a..b/c', operator: Exists}"), "matchExpressions[0].key", "write name or domain/name"},
		"a label with a gap":      {labels("'a..b/c': d"), "matchLabels", "write name or domain/name"},
		"a domain's part is bad":  {expression("{key: 'a.-b/c', operator: Exists}"), "matchExpressions[0].key", "write name or domain/name"},
		"a domain is too long":    {expression("{key: '" + strings.Repeat("a", 254) + "/c', operator: Exists}"), "matchExpressions[0].key", "write name or domain/name"},
		"our own label":           {labels("node-restriction.kubernetes.io/kata-oc: 'true'"), "matchLabels", "use a label of your own"},
		"our own key":             {expression("{key: node-restriction.kubernetes.io/kata-oc, operator: DoesNotExist}"), "matchExpressions[0].key", "use a label of your own"},
		"a toleration of nothing": {config("tolerations: [{operator: Equal, value: a}]"), "config.tolerations[0]", "name the taint's key, or tolerate every taint with operator Exists"},
		"Exists with a value":     {config("tolerations: [{key: a, operator: Exists, value: b}]"), "config.tolerations[0]", "operator Exists takes none, remove it"},
		"seconds without effect":  {config("tolerations: [{key: a, tolerationSeconds: 5}]"), "config.tolerations[0]", "no other taint ends pods, remove it"},
		"seconds of NoSchedule":   {config("tolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 5}]"), "config.tolerations[0]", "no other taint ends pods, remove it"},
		"a taint's key":           {config("tolerations: [{key: 'a b', operator: Exists}]"), "config.tolerations[0].key", "write name or domain/name"},
		"a taint's value":         {config("tolerations: [{key: a, value: 'b c'}]"), "config.tolerations[0].value", "beginning and ending with a letter or digit"},
		"toleration's operator":   {config("tolerations: [{key: a, operator: Gt, value: '5'}]"), "config.tolerations[0].operator", `supported values: "Exists", "Equal"`},
		"toleration's effect":     {config("tolerations: [{key: a, operator: Exists, effect: Never}]"), "config.tolerations[0].effect", `supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"`},
		"too many tolerations":    {config("tolerations: [" + strings.Repeat("{key: a},", 17) + "]"), "config.tolerations", "at most 16 items"},
		"an alias of our own":     {config("runtimeClassAliases: [kata-oc-proof]"), "config.runtimeClassAliases[0]", "such names are the controller's own, choose another one"},
		"an alias in capitals":    {config("runtimeClassAliases: [Kata]"), "config.runtimeClassAliases[0]", "write small letters, digits, '-' and '.'"},
		"an alias of nothing":     {config("runtimeClassAliases: ['']"), "config.runtimeClassAliases[0]", "write small letters, digits, '-' and '.'"},
		"the same alias twice":    {config("runtimeClassAliases: [kata, kata]"), "config.runtimeClassAliases", "duplicate entries"},
		"an unknown handler":      {config("handlers: [clh]"), "config.handlers[0]", `supported values: "debug", "rs"`},
		"the same handler twice":  {config("handlers: [rs, rs]"), "config.handlers", "duplicate entries"},
		"too many aliases":        {config("runtimeClassAliases: [a, b, c, d, e, f, g, h, i]"), "config.runtimeClassAliases", "at most 8 items"},
		"no quantity":             {config("overhead: {podFixed: {memory: much}}"), "config.overhead.podFixed", "write what a sandbox costs, such as cpu: 250m and memory: 350Mi"},
		"a unit that is none":     {config("overhead: {podFixed: {memory: 350MB}}"), "config.overhead.podFixed", "write what a sandbox costs, such as cpu: 250m and memory: 350Mi"},
		"a unit in words":         {config("overhead: {podFixed: {cpu: '250 millicores'}}"), "config.overhead.podFixed", "write what a sandbox costs, such as cpu: 250m and memory: 350Mi"},
		"bits of memory":          {config("overhead: {podFixed: {memory: 350u}}"), "config.overhead.podFixed", "write Mi, such as memory: 350Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.apply(t, document("bad", x.spec))
			require.Error(t, err)
			require.ErrorContains(t, err, x.field)
			assert.ErrorContains(t, err, x.remedy)
		})
	}
}

func TestEveryGoodKataConfigIsTaken(t *testing.T) {
	t.Parallel()
	c := control(t)
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "10-crd.yaml")))
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "samples", "kataconfig.yaml")), "the proposal's sample")
	for _, spec := range []string{
		"{}",
		"{config: {}}",
		"{kataConfigPoolSelector: null}",
		"{kataConfigPoolSelector: {}}",
		"{kataConfigPoolSelector: {matchLabels: {a: '', example.com/b: c, node.openshift.io/os_id: rhcos}}}",
		"{kataConfigPoolSelector: {matchExpressions: [{key: a, operator: In, values: [b, '']}, {key: node-role.kubernetes.io/worker, operator: Exists}, {key: c, operator: DoesNotExist}, {key: d, operator: NotIn, values: [e]}]}}",
		"{config: {payloadImage: 'localhost:5000/kata/payload@sha256:" + strings.Repeat("0", 64) + "', hostPackages: None, paused: true, maxParallel: 1, maxUnavailable: 1}}",
		"{config: {maxUnavailable: 1%, overhead: {podFixed: {cpu: 1, memory: 350Mi, ephemeral-storage: 1Gi}}}}",
		"{config: {maxUnavailable: 100%, overhead: {podFixed: {cpu: 250m}}}}",
		"{config: {overhead: {}}}",
		"{config: {tolerations: [{operator: Exists}, {key: example.com/sandboxes, value: only, effect: NoSchedule}, {key: a, operator: Exists, effect: NoExecute, tolerationSeconds: -1}]}}",
		"{config: {tolerations: []}}",
		"{config: {runtimeClassAliases: [kata, kata-qemu, 1.example]}}",
		"{config: {runtimeClassAliases: []}}",
		"{config: {handlers: [rs, debug]}}",
		"{config: {handlers: null}}",
		"{config: {runtimeClassAliases: null}}",
		"{config: {tolerations: null}}",
		"{config: {payloadImage: 'localhost/payload@sha256:" + strings.Repeat("0", 64) + "'}}",
		"{config: {}}",
		"{kataConfigPoolSelector: {matchLabels: {a: b}}}",
		"{kataConfigPoolSelector: {matchLabels: {}}}",
		"{kataConfigPoolSelector: {matchExpressions: [{key: a, operator: Exists}]}}",
		"{kataConfigPoolSelector: {}}",
		"{}",
	} {
		require.NoError(t, c.apply(t, document("good", spec)), spec)
	}
	assert.NoError(t, c.apply(t, "apiVersion: kataconfiguration.openshift.io/v1\nkind: KataConfig\nmetadata: {name: nothing-at-all}\n"))
}
