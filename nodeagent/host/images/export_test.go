// SPDX-License-Identifier: Apache-2.0

package images

// AuthFile is where the next pull takes its credentials from.
func (s *Store) AuthFile() string { return s.source().AuthFilePath }
