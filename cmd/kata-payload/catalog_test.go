// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACatalogueIsMadeCheckedAndAsked(t *testing.T) {
	t.Parallel()
	kataPayload, file := program(t), filepath.Join(t.TempDir(), "catalog.yaml")
	old, newer := "registry.example.com/kata/payload@sha256:"+strings.Repeat("a", 64), "registry.example.com/kata/payload@sha256:"+strings.Repeat("b", 64)

	_, diag, err := run(t, kataPayload, "catalog", "add", file, old, "--openshift", ">=4.17, <4.20", "--payload-version", "3.18.0")
	require.NoError(t, err, diag)
	_, diag, err = run(t, kataPayload, "catalog", "add", file, newer, "--openshift", ">=4.21", "--architecture", "amd64,arm64", "--rhel", "9")
	require.Error(t, err)
	require.Contains(t, diag, "no entry is for OpenShift from 4.20 to below 4.21")
	_, diag, err = run(t, kataPayload, "catalog", "add", file, newer, "--openshift", ">=4.20", "--architecture", "amd64,arm64", "--rhel", "9")
	require.NoError(t, err, diag)

	out, diag, err := run(t, kataPayload, "catalog", "check", file)
	require.NoError(t, err, diag)
	require.Equal(t, []string{">=4.17,", "<4.20", "-", "all", "all", "3.18.0", old}, strings.Fields(strings.Split(out, "\n")[1]))
	require.Equal(t, []string{">=4.20", "-", "9", "amd64,arm64", "-", newer}, strings.Fields(strings.Split(out, "\n")[2]))

	out, diag, err = run(t, kataPayload, "catalog", "resolve", file, "--openshift", "4.20.3", "--rhel", "9")
	require.NoError(t, err, diag)
	require.Equal(t, newer+"\n", out)
	_, diag, err = run(t, kataPayload, "catalog", "resolve", file, "--openshift", "4.20", "--rhel", "10")
	require.Error(t, err)
	require.Contains(t, diag, "no entry of the catalogue is for OpenShift 4.20 on amd64, RHEL 10")

	next := []string{"catalog", "add", file, old, "--openshift", ">=4.22", "--payload-version", "3.30.0", "--architecture", "amd64,arm64", "--rhel", "9"}
	_, diag, err = run(t, kataPayload, next...)
	require.Error(t, err)
	require.Contains(t, diag, "are both for OpenShift 4.22 and newer: end one of the ranges earlier")
	_, diag, err = run(t, kataPayload, append(next, "--end-open-range")...)
	require.NoError(t, err, diag)
	require.Regexp(t, `^entry 2 \(line 6, .*\): openshift ">=4\.20" is now ">=4\.20, <4\.22"\n$`, diag)
	out, diag, err = run(t, kataPayload, "catalog", "resolve", file, "--openshift", "4.22", "--rhel", "9")
	require.NoError(t, err, diag)
	require.Equal(t, old+"\n", out)
}

func TestAnUnreadableCatalogueIsLeftAlone(t *testing.T) {
	t.Parallel()
	kataPayload, file := program(t), filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(file, []byte("format: 1\npaylaods: []\n"), 0o600))
	_, diag, err := run(t, kataPayload, "catalog", "check", file)
	require.Error(t, err)
	require.Contains(t, diag, file+": reading catalogue: line 2: field paylaods not found\n")
	_, _, err = run(t, kataPayload, "catalog", "add", file, "registry.example.com/kata/payload@sha256:"+strings.Repeat("a", 64), "--openshift", ">=4.17")
	require.Error(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "format: 1\npaylaods: []\n", string(text))
}
