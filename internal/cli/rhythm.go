package cli

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ksd/internal/wire"
)

// The picture's measures: rows of a plot and columns of the labels at the left.
const (
	plotRows  = 8
	plotLabel = 8
)

// Rhythm draws one typing over its owner's usual rhythm: a column for each key,
// the time since the key before it upwards (in ms, on a log scale), the range
// the owner keeps to as a band and the typing as a dot, or as a cross where it
// lies outside. Longer phrases go on below. The lines fit 80 columns; there are
// none if nothing can be compared.
func Rhythm(s Screen, beats []wire.Beat) []string {
	low, high, any := plotRange(beats)
	if !any {
		return nil
	}
	var lines []string
	perPlot, keyWidth := plotKeys(len(beats), s.width()-plotLabel)
	for part := range slices.Chunk(beats, perPlot) {
		lines = append(lines, plot(s, part, keyWidth, low, high)...)
	}
	return append(lines, fmt.Sprintf("%*s  %s the range usually kept to   %s this typing   %s out of the range",
		plotLabel-2, "", s.pick("░", ":"), s.pick("●", "o"), s.pick("×", "X")))
}

// plotKeys returns how many of n keys go into one plot, and the columns of one:
// three, or two where that puts all keys into one plot.
func plotKeys(n, columns int) (perPlot, keyWidth int) {
	if n > columns/3 && n <= columns/2 {
		return n, 2
	}
	plots := (n + columns/3 - 1) / (columns / 3)
	return (n + plots - 1) / plots, 3
}

// plotRange returns the shortest and longest time to be shown, within 20 ms and
// 4 s, at least a factor of four apart.
func plotRange(beats []wire.Beat) (low, high float64, any bool) {
	low, high = math.Inf(1), 0
	for _, b := range beats {
		if b.TypedMS <= 0 || b.UsualMS <= 0 {
			continue
		}
		any = true
		low = min(low, b.TypedMS, b.UsualMS-b.SpreadMS)
		high = max(high, b.TypedMS, b.UsualMS+b.SpreadMS)
	}
	low = max(20, min(low, 1000))
	high = min(4000, max(high, 4*low))
	return low, high, any
}

func plot(s Screen, beats []wire.Beat, keyWidth int, low, high float64) []string {
	row := func(ms float64) int {
		at := math.Log(ms/low) / math.Log(high/low) * (plotRows - 1)
		return int(math.Round(math.Max(0, math.Min(plotRows-1, at))))
	}
	var lines []string
	for r := plotRows - 1; r >= 0; r-- {
		label := math.Round(low * math.Pow(high/low, float64(r)/(plotRows-1)))
		line := fmt.Sprintf("%4.0f ms ", label)
		for _, b := range beats {
			line += plotCell(s, b, keyWidth, r, row)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	keys := strings.Repeat(" ", plotLabel)
	for _, b := range beats {
		keys += strings.Repeat(" ", keyWidth-2) + keyLabel(s, b.Text) + " "
	}
	return append(lines, strings.TrimRight(keys, " "))
}

// plotCell draws what key b has in row r.
func plotCell(s Screen, b wire.Beat, keyWidth, r int, row func(ms float64) int) string {
	if b.TypedMS <= 0 || b.UsualMS <= 0 {
		return strings.Repeat(" ", keyWidth)
	}
	from, to := row(b.UsualMS-b.SpreadMS), row(b.UsualMS+b.SpreadMS)
	cell := strings.Repeat(" ", keyWidth)
	if r >= from && r <= to {
		cell = strings.Repeat(s.pick("░", ":"), keyWidth)
	}
	if row(b.TypedMS) != r {
		return cell
	}
	mark := s.pick("●", "o")
	if math.Abs(b.TypedMS-b.UsualMS) > b.SpreadMS {
		mark = s.pick("×", "X")
	}
	edge := string([]rune(cell)[0])
	return strings.Repeat(edge, keyWidth-2) + mark + edge
}

// keyLabel is one column wide.
func keyLabel(s Screen, text string) string {
	switch {
	case text == " ":
		return s.pick("␣", "_")
	case len([]rune(text)) != 1 || Clean(text) != text || !s.Unicode && text[0] >= 0x80:
		return "?"
	}
	return text
}

// Gauge draws a sum of evidence between the limit below which an attempt is
// refused and the one from which it is accepted.
//
//	refused up to -3.0 [--------|------------o--] accepted from 4.6
func Gauge(s Screen, refuse, accept, sum float64) string {
	left, right := fmt.Sprintf("refused up to %.1f ", refuse), fmt.Sprintf(" accepted from %.1f", accept)
	n := s.width() - len(left) - len(right) - 2
	if n < 8 || !(refuse < accept) {
		return strings.TrimSpace(left) + "," + right
	}
	cells := []rune(strings.Repeat(s.pick("─", "-"), n))
	at := func(v float64) int {
		f := (v - refuse) / (accept - refuse)
		return max(0, min(n-1, int(math.Round(math.Max(0, math.Min(1, f))*float64(n-1)))))
	}
	if refuse < 0 && accept > 0 {
		cells[at(0)] = []rune(s.pick("┼", "|"))[0]
	}
	cells[at(sum)] = []rune(s.pick("●", "o"))[0]
	return left + "[" + string(cells) + "]" + right
}

// figures is the line of numbers under a verdict.
func figures(a Attempt) string {
	last := a.Judged[len(a.Judged)-1]
	phrases := 0
	for _, j := range a.Judged {
		if j.Try == last.Try {
			phrases++
		}
	}
	d := last.Detail
	text := fmt.Sprintf("score %.2f", d.Sum)
	if phrases > 1 {
		text += fmt.Sprintf(" from %d phrases, %.2f from this one", phrases, d.Score)
	}
	text += fmt.Sprintf("; detector %.2f of 3", d.Detector)
	if d.Head != nil {
		text += fmt.Sprintf(", head %.2f", *d.Head)
	}
	return text
}
