package daemon

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkName checks a word that stands in records and file names: an account, a
// service or a source.
func checkName(what, s string, most int) error {
	if s == "" || len(s) > most || !printable(s) {
		return fmt.Errorf("%s: want 1 to %d printable bytes", what, most)
	}
	return nil
}

// printable reports whether s is UTF-8 without anything a terminal could take
// for a command.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
