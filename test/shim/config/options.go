// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"

	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// PathIn returns CRI-O's runtime_config_path, which a create request's options contain.
func PathIn(options *anypb.Any) (string, error) {
	if options == nil {
		return "", nil
	}
	var decoded runtimeoptions.Options
	if want := string(decoded.ProtoReflect().Descriptor().FullName()); !strings.HasSuffix(options.GetTypeUrl(), want) {
		return "", fmt.Errorf("create options have type %q, not %s", options.GetTypeUrl(), want)
	}
	if err := proto.Unmarshal(options.GetValue(), &decoded); err != nil {
		return "", fmt.Errorf("decoding create options: %w", err)
	}
	return decoded.GetConfigPath(), nil
}
