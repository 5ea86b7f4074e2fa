// SPDX-License-Identifier: Apache-2.0

// Package v1 is the cluster administrator's API: KataConfig says which workers get Kata Containers
// and which payload they serve. It holds types, their validation rules and their registration, and
// knows no client.
//
// +kubebuilder:object:generate=true
// +groupName=kataconfiguration.openshift.io
package v1
