// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// Provenance returns the statement of how images were built, in the form of SLSA provenance 1: from
// which sources, with which parameters, by which version. It has no times: those would differ
// between two builds of the same image.
func Provenance(image Image, build Build) ([]byte, error) {
	text, err := statement(image, build)
	if err != nil {
		return nil, fmt.Errorf("writing the provenance: %w", err)
	}
	return text, nil
}

func statement(image Image, build Build) ([]byte, error) {
	predicate, err := predicate(build)
	if err != nil {
		return nil, err
	}
	hexDigest, _ := strings.CutPrefix(image.Digest, "sha256:")
	s := &intoto.Statement{
		Type:          intoto.StatementTypeUri,
		Subject:       []*intoto.ResourceDescriptor{{Name: image.Manifest.Name, Digest: map[string]string{"sha256": hexDigest}}},
		PredicateType: PredicateType,
		Predicate:     predicate,
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(s)
	if err != nil {
		return nil, err
	}
	return settled(text)
}

func predicate(build Build) (*structpb.Struct, error) {
	parameters := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for _, name := range slices.Sorted(maps.Keys(build.Parameters)) {
		parameters.Fields[name] = structpb.NewStringValue(build.Parameters[name])
	}
	p := &provenance.Provenance{
		BuildDefinition: &provenance.BuildDefinition{BuildType: BuildType, ExternalParameters: parameters},
		RunDetails:      &provenance.RunDetails{Builder: &provenance.Builder{Id: Builder, Version: map[string]string{"kata-payload": build.Version}}},
	}
	for _, s := range build.Sources {
		algorithm := "sha256"
		if s.Tree {
			algorithm = treeDigest
		}
		p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, &intoto.ResourceDescriptor{
			Name: s.Name, Uri: s.URI, Digest: map[string]string{algorithm: s.SHA256},
		})
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(p)
	if err != nil {
		return nil, err
	}
	asStruct := &structpb.Struct{}
	return asStruct, protojson.Unmarshal(text, asStruct)
}

// settled lays the text out in one way. The library adds spaces at random, on purpose.
func settled(text []byte) ([]byte, error) {
	var whole any
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(whole)
	return out.Bytes(), err
}
