// SPDX-License-Identifier: Apache-2.0

package v1

// The tool's version is part of the command, so that a fresh clone generates the same files.
//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0 object:headerFile=header.go.txt paths=.
//go:generate sh -c "go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0 crd:headerFile=header.yaml.txt paths=. output:crd:stdout > ../../deploy/10-crd.yaml"
