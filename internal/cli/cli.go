// Package cli is the one voice of ksd's programs: their streams, flags, exit
// codes, messages, tables, progress bars and pictures.
//
// # The rules of the voice
//
// What a program was asked for goes to stdout, and nothing else does. With
// --json it is one JSON value.
//
// All else goes to stderr with the program's name before it, in lower case and
// without a full stop: a fact ("error: …"), then what to do about it
// ("hint: …"). Packages state facts; the advice comes from one table, advice.go.
// A hint names the very command to type.
//
// What is said to a person in a dialogue goes to the terminal, in whole
// sentences. It fits 80 columns and needs no colour. Where TERM is dumb or
// stdout is no terminal, nothing is drawn twice: lines only follow each other.
//
// Text that came from elsewhere is printed through Clean, so that a user name
// in an audit line cannot command the terminal of whoever reads it.
//
// # Exit codes
//
// See the Exit constants; they are the same in every program.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
)

// The exit codes.
const (
	ExitOK         = 0   // done; the answer is yes
	ExitRefused    = 1   // done; the answer is no: not this person, nobody of that name, locked
	ExitUsage      = 2   // the command line is wrong
	ExitNoDaemon   = 3   // the daemon is not there, or is not one to be trusted
	ExitForbidden  = 4   // the caller may not do that
	ExitInput      = 5   // a file or a typing that cannot be used
	ExitFailed     = 6   // anything else that went wrong
	ExitNoTerminal = 7   // it takes a terminal, and there is none
	ExitCancelled  = 130 // Ctrl-C, a signal, the end of the input
)

// Env is the world a program runs in. Nothing below main reaches past it.
type Env struct {
	Name   string   // the program's, for messages
	Args   []string // after the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Tty    *os.File             // the person's terminal; nil if there is none
	User   string               // account of the caller
	Getenv func(string) string  // nil: an empty environment
	Now    func() time.Time     // wall clock
	Clock  func() time.Duration // CLOCK_MONOTONIC
	Width  func(f *os.File) int // columns of a terminal, 0 if f is none
}

// Var returns an environment variable.
func (e Env) Var(name string) string {
	if e.Getenv == nil {
		return ""
	}
	return e.Getenv(name)
}

// Info tells the person at the program how things go.
func (e Env) Info(format string, args ...any) { e.say("", format, args) }

// Warn tells of something that did not stop the program.
func (e Env) Warn(format string, args ...any) { e.say("warning: ", format, args) }

// Error tells what stopped the program.
func (e Env) Error(format string, args ...any) { e.say("error: ", format, args) }

// Hint tells what can be done about the error before it.
func (e Env) Hint(format string, args ...any) { e.say("hint: ", format, args) }

func (e Env) say(kind, format string, args []any) {
	fmt.Fprintf(e.Stderr, "%s: %s%s\n", e.Name, kind, CleanLines(fmt.Sprintf(format, args...)))
}

// Fail tells err with the advice that goes with it and returns the exit code.
func (e Env) Fail(err error) int {
	if err == nil {
		return ExitOK
	}
	code, hints := Advice(err)
	switch {
	case errors.Is(err, context.Canceled):
		e.Info("stopped")
	case code == ExitCancelled:
		e.Info("%v", err)
	default:
		e.Error("%v", err)
	}
	for _, h := range hints {
		e.Hint("%s", h)
	}
	return code
}

// JSON prints v to stdout as the one value of a program run with --json.
func (e Env) JSON(v any) int {
	enc := json.NewEncoder(e.Stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return e.Fail(err)
	}
	return ExitOK
}

// Clean makes foreign text fit to be printed in one line: control characters
// (C0, DEL, C1) and what is not UTF-8 become "?".
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}

// CleanLines is Clean for text of several lines.
func CleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = Clean(l)
	}
	return strings.Join(lines, "\n")
}
