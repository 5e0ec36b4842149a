package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// ErrUsage is the fact that a command line is wrong.
var ErrUsage = errors.New("wrong command line")

// Usagef returns an error that wraps ErrUsage and says only what is wrong.
func Usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }
func (u *usageError) Unwrap() error { return ErrUsage }

// Flags returns a flag set that prints nothing of its own.
func Flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// Parse reads flags wherever they stand and returns what is no flag, which must
// be at least least and at most most words (most -1: any number). What follows
// "--" is no flag. Errors: flag.ErrHelp, ErrUsage.
func Parse(fs *flag.FlagSet, args []string, least, most int) ([]string, error) {
	var words []string
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, Usagef("%v", err)
		}
		rest := fs.Args()
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			words = append(words, rest...)
			break
		}
		if len(rest) == 0 {
			break
		}
		words, args = append(words, rest[0]), rest[1:]
	}
	switch {
	case len(words) < least:
		return nil, Usagef("%d more %s wanted", least-len(words), plural("word", least-len(words)))
	case most >= 0 && len(words) > most:
		return nil, Usagef("%q is one word too many", strings.Join(words[most:], " "))
	}
	return words, nil
}

// Usage answers a command line that Parse refused: the manual on stdout if it
// was asked for, else the error on stderr with the way to the manual.
func (e Env) Usage(manual, help string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(e.Stdout, manual)
		return ExitOK
	}
	e.Error("%v", err)
	e.Hint("%s", help)
	return ExitUsage
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
