package cli

import (
	"io"
	"os"
	"strings"
)

// Screen is what can be done with an output. The zero value but for W is a
// file: lines follow each other, in ASCII.
type Screen struct {
	W       io.Writer
	Cursor  bool // whether the cursor can be moved: a terminal that is not dumb
	Unicode bool // whether characters beyond ASCII can be shown
	Columns int  // 0: unknown, taken as 80
}

// Screen returns what can be done with w, one of the environment's outputs.
func (e Env) Screen(w io.Writer) Screen {
	s := Screen{W: w, Unicode: e.unicode(), Columns: 80}
	f, ok := w.(*os.File)
	if !ok || f == nil || e.Width == nil {
		return s
	}
	if n := e.Width(f); n > 0 {
		s.Columns = n
		s.Cursor = e.Var("TERM") != "" && e.Var("TERM") != "dumb"
	}
	return s
}

// unicode follows POSIX: the first of these variables that is set decides. The
// Linux console's font lacks most of what is drawn.
func (e Env) unicode() bool {
	if t := e.Var("TERM"); t == "linux" || t == "dumb" {
		return false
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(e.Var(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// width is how many columns to use: 80 at most, so that lines stay readable,
// and 20 at least.
func (s Screen) width() int {
	if s.Columns <= 0 {
		return 80
	}
	return max(20, min(s.Columns, 80))
}

// pick returns the first text where Unicode can be shown, else the second.
func (s Screen) pick(unicode, ascii string) string {
	if s.Unicode {
		return unicode
	}
	return ascii
}
