// SPDX-License-Identifier: Apache-2.0

// Package machineconfig does to a node what the machine-config daemon does with the MachineConfig
// that brings the agent: it writes what the golden one lists, and deletes it in the daemon's order.
package machineconfig

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/test/bed/machine"
)

// Pull is the unit that brings the agent.
const Pull = "kata-agent-pull.service"

// units is where the daemon writes units.
const units = "/etc/systemd/system"

// Config is as much of a rendered MachineConfig as a node needs.
type Config struct {
	Spec struct {
		Config struct {
			Storage struct{ Files []file }
			Systemd struct{ Units []unit }
		}
	}
}

type file struct {
	Path     string
	Mode     uint32
	Contents struct{ Source string }
}

func (f file) content() ([]byte, error) {
	encoded, ok := strings.CutPrefix(f.Contents.Source, "data:;base64,")
	if !ok {
		return nil, fmt.Errorf("%s has a source that is not base64", f.Path)
	}
	return base64.StdEncoding.DecodeString(encoded)
}

type unit struct {
	Name, Contents string
	Enabled        bool
	Dropins        []struct{ Name, Contents string }
}

// Golden returns the one of OpenShift 4.19.
func Golden() (c Config, err error) {
	_, source, _, _ := runtime.Caller(0)
	golden, err := os.ReadFile(filepath.Join(filepath.Dir(source), "../../../ignition/machineconfig/testdata/openshift-4.19.yaml"))
	if err == nil {
		err = yaml.Unmarshal(golden, &c)
	}
	if err != nil {
		return c, fmt.Errorf("reading the golden MachineConfig: %w", err)
	}
	return c, nil
}

// Apply writes everything to a node, which may be off, and enables the units. One that runs has to
// be asked to reload.
func (c Config) Apply(ctx context.Context, m *machine.Machine) error {
	for _, f := range c.Spec.Config.Storage.Files {
		content, err := f.content()
		if err != nil {
			return err
		}
		if err := m.WriteFile(f.Path, content, fs.FileMode(f.Mode)); err != nil {
			return err
		}
	}
	for _, u := range c.Spec.Config.Systemd.Units {
		if err := u.apply(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (u unit) apply(ctx context.Context, m *machine.Machine) error {
	name := path.Join(units, u.Name)
	errs := []error{m.WriteFile(name, []byte(u.Contents), 0o644)}
	for _, d := range u.Dropins {
		errs = append(errs, m.WriteFile(path.Join(name+".d", d.Name), []byte(d.Contents), 0o644))
	}
	if u.Enabled {
		if out, err := exec.CommandContext(ctx, "systemctl", "--root="+m.Root(), "enable", u.Name).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("enabling %s: %w: %s", u.Name, err, out))
		}
	}
	return errors.Join(errs...)
}

// Delete deletes everything from a node that runs, in the daemon's order: files, then of each unit
// its drop-ins, its enablement and itself (openshift/machine-config-operator, deleteStaleData). It
// stops nothing. The actions of the disruption policy come after it.
func (c Config) Delete(ctx context.Context, m *machine.Machine) error {
	var commands [][]string
	for _, f := range c.Spec.Config.Storage.Files {
		commands = append(commands, []string{"rm", f.Path})
	}
	for _, u := range c.Spec.Config.Systemd.Units {
		name := path.Join(units, u.Name)
		for _, d := range u.Dropins {
			commands = append(commands, []string{"rm", path.Join(name+".d", d.Name)})
		}
		// The presets of RHCOS disable what they do not name.
		commands = append(commands, []string{"systemctl", "disable", u.Name}, []string{"rm", name})
	}
	for _, command := range commands {
		if _, err := m.Exec(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// podman stands for one whose registry answers from the moment that Answers is called. What it
// copies out of the image is the agent in /opt.
const podman = `#!/bin/sh
case $1 in
pull) touch /run/pull-began; until [ -e ` + answers + ` ]; do sleep 0.1; done ;;
create) echo container ;;
cp) cp ` + Agent + ` "$3" ;;
esac
`

const answers = "/run/registry-answers"

// Agent is the program that the node's registry has.
const Agent = "/opt/kata-node-agent"

// Offer makes the node's registry have an agent.
func Offer(m *machine.Machine, agent []byte) error {
	return errors.Join(m.WriteFile(Agent, agent, 0o755), m.WriteFile("/usr/bin/podman", []byte(podman), 0o755))
}

// Answer makes the registry answer, until the next boot.
func Answer(ctx context.Context, m *machine.Machine) error {
	_, err := m.Exec(ctx, "touch", answers)
	return err
}

// Asked reports whether the registry was asked for anything in this boot.
func Asked(ctx context.Context, m *machine.Machine) bool {
	_, err := m.Exec(ctx, "test", "-e", "/run/pull-began")
	return err == nil
}
