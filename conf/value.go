package conf

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxSocket is the longest path a Unix socket can have on Linux, in bytes
// (sun_path in unix(7), less its NUL).
const maxSocket = 107

// The limits of the phrases; lengths in characters.
const (
	maxPhrases = 20
	minPhrase  = 12
	maxPhrase  = 64
)

// The limits of lists of groups and accounts; a name's length in bytes.
const (
	maxNames = 32
	maxName  = 256
)

// read decodes the value of a key into a T. It returns false where the key
// does not stand in the file, and where it is of another type, which is an
// error.
func read[T any](f *file, key, want string) (v T, ok bool) {
	p, ok := f.ask(key)
	if !ok {
		return v, false
	}
	if err := f.md.PrimitiveDecode(p, &v); err != nil {
		f.fail(key, "the value is of the wrong kind", want)
		return v, false
	}
	return v, true
}

func integer[T int | uint64](f *file, key string, dst *T, low, high int64) {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	v, ok := read[int64](f, key, want)
	switch {
	case !ok:
	case v < low || v > high:
		f.fail(key, fmt.Sprintf("%d is out of range", v), want)
	default:
		*dst = T(v)
	}
}

func (f *file) number(key string, dst *float64, low, high float64) {
	want := fmt.Sprintf("a number from %v to %v", low, high)
	v, ok := read[float64](f, key, want)
	switch {
	case !ok:
	case !(v >= low && v <= high): // NaN is in no range
		f.fail(key, fmt.Sprintf("%v is out of range", v), want)
	default:
		*dst = v
	}
}

func (f *file) boolean(key string, dst *bool) {
	if v, ok := read[bool](f, key, "true or false, without quotes"); ok {
		*dst = v
	}
}

func (f *file) duration(key string, dst *time.Duration, low, high time.Duration) {
	want := fmt.Sprintf("a time from %q to %q, in quotes and with its unit", short(low), short(high))
	s, ok := read[string](f, key, want)
	if !ok {
		return
	}
	v, err := time.ParseDuration(s)
	switch {
	case err != nil:
		f.fail(key, strconv.Quote(s)+" is not a time", want)
	case v < low || v > high:
		f.fail(key, strconv.Quote(s)+" is out of range", want)
	default:
		*dst = v
	}
}

// short writes a duration without its zero minutes and seconds.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (f *file) path(key string, dst *string, most int) {
	want := fmt.Sprintf("an absolute path of at most %d bytes", most)
	v, ok := read[string](f, key, want)
	switch {
	case !ok:
	case !filepath.IsAbs(v) || strings.ContainsFunc(v, unicode.IsControl):
		f.fail(key, strconv.Quote(v)+" is not an absolute path", want)
	case len(v) > most:
		f.fail(key, fmt.Sprintf("the path has %d bytes", len(v)), want)
	default:
		*dst = filepath.Clean(v)
	}
}

func (f *file) level(key string, dst *slog.Level) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	const want = `"debug", "info", "warn" or "error"`
	v, ok := read[string](f, key, want)
	if !ok {
		return
	}
	level, ok := levels[v]
	if !ok {
		f.fail(key, strconv.Quote(v)+" is not a level", want)
		return
	}
	*dst = level
}

// oneOf reads one of several words; noun is what a wrong one is not.
func oneOf[T ~string](f *file, key string, dst *T, noun string, words ...T) {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(string(w))
	}
	last := len(quoted) - 1
	want := strings.Join(quoted[:last], ", ") + " or " + quoted[last]
	v, ok := read[string](f, key, want)
	switch {
	case !ok:
	case !slices.Contains(words, T(v)):
		f.fail(key, strconv.Quote(v)+" is not "+noun, want)
	default:
		*dst = T(v)
	}
}

// names reads names of groups or accounts; noun is one of them. Those of a
// directory service may hold spaces and a backslash; what they cannot hold is
// what the databases end them with.
func (f *file) names(key string, dst *[]string, noun string) {
	want := fmt.Sprintf("up to %d different names of %ss, of 1 to %d printable bytes each", maxNames, noun, maxName)
	v, ok := read[[]string](f, key, want)
	switch {
	case !ok:
	case len(v) > maxNames:
		f.fail(key, fmt.Sprintf("there are %d %ss", len(v), noun), want)
	default:
		for i, n := range v {
			if !cleanName(n) || slices.Contains(v[:i], n) {
				f.fail(key, fmt.Sprintf("%s %d, %q, is not a name or stands there already", noun, i+1, n), want)
				return
			}
		}
		*dst = v
	}
}

func cleanName(s string) bool {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == ':' || r == ',' }
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, odd)
}

func (f *file) phrases(key string, dst *[]string) {
	want := fmt.Sprintf("1 to %d different phrases of %d to %d printable characters, with single spaces inside only",
		maxPhrases, minPhrase, maxPhrase)
	v, ok := read[[]string](f, key, want)
	if !ok {
		return
	}
	if len(v) < 1 || len(v) > maxPhrases {
		f.fail(key, fmt.Sprintf("there are %d phrases", len(v)), want)
		return
	}
	seen := map[string]bool{}
	good := true
	for i, p := range v {
		problem := phraseProblem(p)
		if problem == "" && seen[strings.ToLower(p)] {
			problem = "stands there already"
		}
		if problem != "" {
			f.fail(key, fmt.Sprintf("phrase %d %s", i+1, problem), want)
			good = false
		}
		seen[strings.ToLower(p)] = true
	}
	if good {
		*dst = v
	}
}

// phraseProblem says what is wrong with a phrase without showing it, "" if
// nothing is.
func phraseProblem(p string) string {
	n := utf8.RuneCountInString(p)
	switch {
	case n < minPhrase || n > maxPhrase:
		return fmt.Sprintf("has %d characters", n)
	case strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has a character that does not print"
	case strings.TrimSpace(p) != p || strings.Contains(p, "  "):
		return "has a space at its end or two together"
	}
	return ""
}

// relation adds an error where two values do not go together, unless one of
// them is wrong by itself. The key that stands in the file is to blame.
func (f *file) relation(ok bool, key, other, want string) {
	if ok || f.wrong[key] || f.wrong[other] {
		return
	}
	if _, stands := f.find(key); !stands {
		key, other = other, key
	}
	f.fail(key, "it does not go with "+other, want)
}
