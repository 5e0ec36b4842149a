package conf

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Error is one thing that is wrong with a configuration file.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // from 1; 0 where no line is to blame
	Key     string `json:"key,omitempty"`  // section.key; "" where none is to blame
	Problem string `json:"problem"`
	Want    string `json:"want"` // what would be right
}

// Error returns "file:line: key: problem; want what would be right".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	return b.String() + ": " + e.Problem + "; want " + e.Want
}

// Errors is everything that is wrong with a file, in the order of its lines.
type Errors []*Error

// Error returns one line for each error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As the single errors.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// file is a file being read: its undecoded values, which of the keys the
// program has asked for, and what was wrong so far.
type file struct {
	name  string
	md    toml.MetaData
	top   map[string]toml.Primitive            // sections
	in    map[string]map[string]toml.Primitive // their keys
	known map[string][]string                  // keys asked for, by section
	wrong map[string]bool                      // keys with an error
	errs  Errors
}

// open splits a file into sections and keys.
func open(name string, data []byte) *file {
	f := &file{
		name:  name,
		in:    map[string]map[string]toml.Primitive{},
		known: map[string][]string{},
		wrong: map[string]bool{},
	}
	if len(data) > MaxSize {
		f.add(0, "", "the file is too large", fmt.Sprintf("at most %d bytes", MaxSize))
		return f
	}
	var err error
	if f.md, err = toml.Decode(string(data), &f.top); err != nil {
		f.syntax(err, data)
		f.top = nil
		return f
	}
	for name, p := range f.top {
		var keys map[string]toml.Primitive
		if f.md.PrimitiveDecode(p, &keys) == nil && keys != nil {
			f.in[name] = keys
		}
	}
	return f
}

// syntax adds the error of a file that is not TOML.
func (f *file) syntax(err error, data []byte) {
	const want = `lines of the form key = value, below a [section], texts in double quotes`
	var p toml.ParseError
	if !errors.As(err, &p) {
		f.add(0, "", "not TOML", want)
		return
	}
	problem, _, _ := strings.Cut(strings.TrimSuffix(p.Message, "."), "\n")
	f.add(p.Position.Line, keyAt(string(data), p.Position.Line), "not TOML: "+problem, want)
}

var (
	sectionLine = regexp.MustCompile(`^\s*\[\s*([\w-]+)\s*\]`)
	keyLine     = regexp.MustCompile(`^\s*([\w-]+)`)
)

// keyAt guesses the section.key that a line is about, in a file that does not
// parse: the parser's own last key is often that of another line.
func keyAt(data string, line int) string {
	var section, key string
	for i, text := range strings.Split(data, "\n") {
		if i == line {
			break
		}
		key = ""
		if m := sectionLine.FindStringSubmatch(text); m != nil {
			section = m[1]
		} else if m := keyLine.FindStringSubmatch(text); m != nil {
			key = m[1]
		}
	}
	return strings.Trim(section+"."+key, ".")
}

// find returns the value of section.key and whether it stands in the file.
func (f *file) find(key string) (toml.Primitive, bool) {
	section, name, _ := strings.Cut(key, ".")
	p, ok := f.in[section][name]
	return p, ok
}

// ask is find for a key that there is: it makes the key known.
func (f *file) ask(key string) (toml.Primitive, bool) {
	section, name, _ := strings.Cut(key, ".")
	f.known[section] = append(f.known[section], name)
	return f.find(key)
}

// unknown adds an error for each key that nobody asked for.
func (f *file) unknown() {
	for section, p := range f.top {
		known, ok := f.known[section]
		if !ok {
			f.add(f.line(p), section, "there is no such section", "one of "+list(keysOf(f.known), "[%s]"))
			continue
		}
		keys, ok := f.in[section]
		if !ok {
			f.add(f.line(p), section, "it is not a section", "a line ["+section+"] and its keys below")
			continue
		}
		for name, p := range keys {
			if !slices.Contains(known, name) {
				f.add(f.line(p), section+"."+name, "there is no such key", "one of "+list(known, "%s"))
			}
		}
	}
}

// retired passes over keys that earlier versions had: a file that served until
// an update must not keep the daemon from starting after it. They are offered to
// nobody.
func (f *file) retired(keys ...string) {
	for _, key := range keys {
		section, name, _ := strings.Cut(key, ".")
		delete(f.in[section], name)
	}
}

// fail adds an error about the value of a key.
func (f *file) fail(key, problem, want string) {
	line := 0
	if p, ok := f.find(key); ok {
		line = f.line(p)
	}
	f.wrong[key] = true
	f.add(line, key, problem, want)
}

func (f *file) add(line int, key, problem, want string) {
	f.errs = append(f.errs, &Error{File: f.name, Line: line, Key: key, Problem: problem, Want: want})
}

func (f *file) sorted() Errors {
	slices.SortFunc(f.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Key, b.Key)
	})
	return f.errs
}

// line returns the line the parser found a key on. The parser tells it only in
// an error, so one is made.
func (f *file) line(p toml.Primitive) int {
	var e toml.ParseError
	if errors.As(f.md.PrimitiveDecode(p, refusal{}), &e) && e.Position.Line > 0 {
		return e.Position.Line
	}
	// A table that only its dotted keys speak of: the first of them.
	var keys map[string]toml.Primitive
	if f.md.PrimitiveDecode(p, &keys) != nil {
		return 0
	}
	first := 0
	for _, p := range keys {
		if n := f.line(p); first == 0 || n < first {
			first = n
		}
	}
	return first
}

// refusal is a type that nothing decodes to.
type refusal struct{}

var errRefusal = errors.New("refusal")

func (refusal) UnmarshalTOML(any) error { return errRefusal }

func keysOf(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// list returns the sorted words, each in the given form, with commas.
func list(words []string, form string) string {
	words = slices.Sorted(slices.Values(words))
	for i, w := range words {
		words[i] = fmt.Sprintf(form, w)
	}
	return strings.Join(words, ", ")
}
