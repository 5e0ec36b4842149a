package bench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"

	"ksd/internal/model/eval"
)

// Curve is the scores of one scorer to be drawn.
type Curve struct {
	Name   string
	Scores eval.Scores
	LLR    bool // they are natural-log likelihood ratios, so that their calibration can be seen
}

// The grid of error rates, in %.
var grid = []float64{0.1, 0.5, 1, 2, 5, 10, 20, 40}

const (
	panel  = 420.0 // side of one plot, px
	margin = 60.0
	most   = 8.0 // nats either way on the calibration plot
)

// Plot writes an SVG picture of two plots: error rates against each other on
// probit axes (DET; Martin et al. 1997), and for log-likelihood ratios those said
// against those observed, in bins of 1 nat: a calibrated score lies on the
// diagonal. It takes the reader's light or dark colours.
func Plot(w io.Writer, title string, curves []Curve) error {
	var b bytes.Buffer
	width, height := 2*panel+3*margin, panel+2*margin+18*float64(len(curves))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	b.WriteString(style)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n"+`<rect class="paper" width="%.0f" height="%.0f"/>`+"\n", escape(title), width, height)
	text(&b, width/2, 24, "middle", title)
	det(&b, curves)
	calibration(&b, curves)
	for i, c := range curves {
		y := panel + 2*margin + 18*float64(i) - 6
		fmt.Fprintf(&b, `<line class="c%d" x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f"/>`+"\n", i%colours, margin, y-4, margin+24, y-4)
		text(&b, margin+32, y, "start", c.Name)
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

const colours = 6

const style = `<style>
.paper { fill: #fff } text { fill: #222 } .grid { stroke: #ccc; fill: none } .even { stroke: #888; stroke-dasharray: 4 4 }
.c0 { stroke: #1b6fb5 } .c1 { stroke: #c4571b } .c2 { stroke: #1e8a58 } .c3 { stroke: #9a3fb0 } .c4 { stroke: #8a6d00 } .c5 { stroke: #b02a4c }
polyline, line { fill: none; stroke-width: 1.8 } .grid, .even { stroke-width: 1 }
@media (prefers-color-scheme: dark) {
.paper { fill: #16181c } text { fill: #ddd } .grid { stroke: #3a3d44 }
.c0 { stroke: #62b0f0 } .c1 { stroke: #f0935a } .c2 { stroke: #5fd09a } .c3 { stroke: #d58be6 } .c4 { stroke: #e0c040 } .c5 { stroke: #f07a98 }
}
</style>
`

func text(b *bytes.Buffer, x, y float64, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, escape(s))
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// probit is the standard normal's quantile.
func probit(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// det draws FNMR over FMR.
func det(b *bytes.Buffer, curves []Curve) {
	low, high := probit(0.0005), probit(0.5)
	at := func(rate float64) float64 { // 0 to 1 along the axis
		return (probit(math.Min(math.Max(rate, 0.0005), 0.5)) - low) / (high - low)
	}
	x := func(rate float64) float64 { return margin + panel*at(rate) }
	y := func(rate float64) float64 { return margin + panel*(1-at(rate)) }
	for _, g := range grid {
		gx, gy := x(g/100), y(g/100)
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fV%.1fM%.1f %.1fH%.1f"/>`+"\n", gx, margin, margin+panel, margin, gy, margin+panel)
		text(b, gx, margin+panel+16, "middle", fmt.Sprintf("%g", g))
		text(b, margin-6, gy+4, "end", fmt.Sprintf("%g", g))
	}
	fmt.Fprintf(b, `<line class="even" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", margin, margin+panel, margin+panel, margin)
	text(b, margin+panel/2, margin+panel+34, "middle", "FMR, %")
	fmt.Fprintf(b, `<text transform="translate(18 %.1f) rotate(-90)" text-anchor="middle">FNMR, %%</text>`+"\n", margin+panel/2)
	for i, c := range curves {
		var points []string
		lastX, lastY := math.Inf(1), math.Inf(1)
		for _, p := range c.Scores.DET() {
			if p.FMR > 0.5 || p.FNMR > 0.5 {
				continue // beyond the axes
			}
			px, py := x(p.FMR), y(p.FNMR)
			if math.Hypot(px-lastX, py-lastY) >= 0.5 { // finer than can be seen
				points = append(points, fmt.Sprintf("%.1f,%.1f", px, py))
				lastX, lastY = px, py
			}
		}
		line(b, i, points)
	}
}

func line(b *bytes.Buffer, i int, points []string) {
	if len(points) > 0 {
		fmt.Fprintf(b, `<polyline class="c%d" points="%s"/>`+"\n", i%colours, strings.Join(points, " "))
	}
}

// calibration draws observed log-odds over the log-likelihood ratios said.
func calibration(b *bytes.Buffer, curves []Curve) {
	left := panel + 2*margin
	at := func(x float64) float64 { return (math.Min(math.Max(x, -most), most) + most) / (2 * most) }
	x := func(v float64) float64 { return left + panel*at(v) }
	y := func(v float64) float64 { return margin + panel*(1-at(v)) }
	for g := -most; g <= most; g += 2 {
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fV%.1fM%.1f %.1fH%.1f"/>`+"\n", x(g), margin, margin+panel, left, y(g), left+panel)
		text(b, x(g), margin+panel+16, "middle", fmt.Sprintf("%g", g))
		text(b, left-6, y(g)+4, "end", fmt.Sprintf("%g", g))
	}
	fmt.Fprintf(b, `<line class="even" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", left, margin+panel, left+panel, margin)
	text(b, left+panel/2, margin+panel+34, "middle", "log-likelihood ratio said")
	fmt.Fprintf(b, `<text transform="translate(%.1f %.1f) rotate(-90)" text-anchor="middle">observed</text>`+"\n", left-42, margin+panel/2)
	for i, c := range curves {
		if !c.LLR {
			continue
		}
		var points []string
		for _, p := range reliability(c.Scores) {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(p.said), y(p.observed)))
			fmt.Fprintf(b, `<circle class="c%d" fill="none" cx="%.1f" cy="%.1f" r="3"/>`+"\n", i%colours, x(p.said), y(p.observed))
		}
		line(b, i, points)
	}
}

// bin is one bin of a calibration plot, in nats: the mean of the log-likelihood
// ratios said, and the log of the ratio of the shares of genuine and of
// impostors' comparisons that fell into it.
type bin struct{ said, observed float64 }

// reliability returns the bins of 1 nat that hold both kinds of comparison.
func reliability(s eval.Scores) (out []bin) {
	type count struct{ sum, genuine, impostor float64 }
	counts := make([]count, int(2*most))
	at := func(x float64) *count {
		if !(x >= -most && x < most) {
			return &count{}
		}
		return &counts[int(x+most)]
	}
	for _, x := range s.Genuine {
		c := at(x)
		c.sum, c.genuine = c.sum+x, c.genuine+1
	}
	for _, x := range s.Impostor {
		c := at(x)
		c.sum, c.impostor = c.sum+x, c.impostor+1
	}
	for _, c := range counts {
		if c.genuine > 0 && c.impostor > 0 {
			odds := c.genuine / float64(len(s.Genuine)) / (c.impostor / float64(len(s.Impostor)))
			out = append(out, bin{c.sum / (c.genuine + c.impostor), math.Log(odds)})
		}
	}
	return out
}
