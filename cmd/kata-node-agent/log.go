// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

// logger leaves times to the journal, and bounds what it is given.
func logger() *logrus.Logger {
	log := logrus.New()
	log.AddHook(bounded{})
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true})
	if systemd.Streams() {
		log.AddHook(journaled{enter: systemd.Enter, text: log.Formatter, otherwise: log.Out})
		log.SetOutput(io.Discard)
	}
	return log
}

// maxField bounds each text of a line, in bytes. The journal has more of an error than the report,
// but not the whole page that a proxy answered with: it splits lines beyond 48 KiB.
const maxField = 4 << 10

// bounded shortens texts before they are logged. The formatter writes line breaks and control
// characters as escapes.
type bounded struct{}

func (bounded) Levels() []logrus.Level { return logrus.AllLevels }

func (bounded) Fire(e *logrus.Entry) error {
	e.Message = node.Shorten(e.Message, maxField)
	for key, value := range e.Data {
		if text := fmt.Sprint(value); len(text) > maxField {
			e.Data[key] = node.Shorten(text, maxField)
		}
	}
	return nil
}

// fieldPrefix begins the names of the fields that the agent adds to journal entries.
const fieldPrefix = "KATA_"

// journaled writes entries with their fields. Where the journal takes none, such as while it is
// restarted, they become lines of text.
type journaled struct {
	enter     func(message string, priority systemd.Priority, fields map[string]string) error
	text      logrus.Formatter
	otherwise io.Writer
}

func (journaled) Levels() []logrus.Level { return logrus.AllLevels }

func (j journaled) Fire(e *logrus.Entry) error {
	fields := map[string]string{}
	for key, value := range e.Data {
		fields[fieldPrefix+strings.ToUpper(key)] = node.Line(fmt.Sprint(value), maxField)
	}
	message := e.Message
	if problem, failed := e.Data[logrus.ErrorKey]; failed {
		message = fmt.Sprintf("%s: %v", message, problem)
	}
	if err := j.enter(node.Line(message, 2*maxField), priority(e.Level), fields); err == nil {
		return nil
	}
	line, err := j.text.Format(e)
	if err != nil {
		return err
	}
	_, err = j.otherwise.Write(line)
	return err
}

func priority(l logrus.Level) systemd.Priority {
	switch l {
	case logrus.PanicLevel, logrus.FatalLevel:
		return systemd.Critical
	case logrus.ErrorLevel:
		return systemd.Failure
	case logrus.WarnLevel:
		return systemd.Warning
	case logrus.InfoLevel:
		return systemd.Info
	case logrus.DebugLevel, logrus.TraceLevel:
		return systemd.Debug
	}
	return systemd.Info
}
