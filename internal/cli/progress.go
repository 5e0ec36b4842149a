package cli

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"ksd/internal/wire"
)

// Bar draws a progress bar of the given width in columns; done is 0 to 1.
func (s Screen) Bar(done float64, columns int) string {
	done = math.Max(0, math.Min(1, done)) // NaN becomes 0 below
	n := int(done * float64(columns-2))
	n = max(0, min(n, columns-2))
	return "[" + strings.Repeat(s.pick("█", "#"), n) + strings.Repeat(s.pick("░", "."), columns-2-n) + "]"
}

// Progress shows how far something is, in one line that is drawn over. Where
// the cursor cannot be moved it prints a line for each new tenth.
type Progress struct {
	s     Screen
	tenth int
	drawn bool
}

// NewProgress returns a bar that has not been drawn yet.
func NewProgress(s Screen) *Progress { return &Progress{s: s, tenth: -1} }

// Set shows that done (0 to 1) of it is over, and a few words.
func (p *Progress) Set(done float64, words string) {
	if !p.s.Cursor {
		if tenth := int(math.Floor(done*10 + 1e-9)); tenth > p.tenth {
			p.tenth = tenth
			fmt.Fprintf(p.s.W, "%3.0f %%  %s\n", done*100, words)
		}
		return
	}
	const bar = 32
	line := fmt.Sprintf("%s %3.0f %%  %s", p.s.Bar(done, bar), done*100, words)
	fmt.Fprintf(p.s.W, "\r%s\x1b[K", cut(line, p.s.width()-1))
	p.drawn = true
}

// Done leaves the bar as it stands and goes to the next line.
func (p *Progress) Done() {
	if p.drawn {
		fmt.Fprint(p.s.W, "\n")
		p.drawn = false
	}
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(0, n)])
}

// TrainingWords tells in a few words what a training run is at.
func TrainingWords(p wire.Progress) string {
	if p.Report != nil {
		return "done"
	}
	words := p.Stage
	if p.Heads > 0 && p.Head > 0 {
		words = fmt.Sprintf("%s, head %d of %d", p.Stage, p.Head, p.Heads)
	}
	return words
}
