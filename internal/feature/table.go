package feature

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ksd/internal/keystroke"
)

// tableHeader is the first line of a population table.
const tableHeader = "# ksd population table 2"

// maxTable is the largest table that is read, in bytes.
const maxTable = 1 << 20

// ErrTable is the fact that a population table cannot be read.
var ErrTable = errors.New("not a population table")

//go:embed population.tsv
var shipped []byte

// Default returns the shipped table, built from the KLiCKe corpus.
var Default = sync.OnceValue(func() *Population {
	p, err := ReadPopulation(bytes.NewReader(shipped))
	if err != nil {
		panic(err) // a test reads it: a broken table is not released
	}
	return p
})

// WriteTable writes the table in the form that ReadPopulation reads. notes are
// written as comments under the header: where the table comes from.
func (p *Population) WriteTable(w io.Writer, notes ...string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, tableHeader)
	for _, n := range notes {
		fmt.Fprintln(b, "#", n)
	}
	writeKind(b, "dd", p.dd, p.ddKey, p.ddAll)
	writeKind(b, "flight", p.flight, p.flightKey, p.flightAll)
	writeKind(b, "dwell", nil, p.dwell, p.dwellAll)
	for _, row := range p.rows() {
		writeRow(b, row.name, *row.values...)
	}
	writeRow(b, "covariance-dd", p.DDCovariance.row()...)
	writeRow(b, "covariance-dwell", p.DwellCovariance.row()...)
	writeRow(b, "covariance-across", p.Across)
	for _, t := range p.Tempers {
		writeRow(b, "temper", t.DDMean, t.DDSD, t.DwellMean, t.DwellSD)
	}
	return b.Flush()
}

func writeRow(w io.Writer, name string, xs ...float64) {
	fmt.Fprint(w, name)
	for _, x := range xs {
		fmt.Fprint(w, "\t", format(x))
	}
	fmt.Fprintln(w)
}

type row struct {
	name   string
	values *[]float64
	size   int
}

// rows lists the lines of numbers of a table in their order.
func (p *Population) rows() []row {
	return []row{
		{"quantiles-dd", &p.DDQuantiles, quantiles},
		{"quantiles-dwell", &p.DwellQuantiles, quantiles},
		{"lags-dd", &p.DDLags, MaxLag + 1},
		{"lags-dwell", &p.DwellLags, MaxLag + 1},
		{"lags-dwell-dd", &p.CrossLags, 2*MaxLag + 1},
	}
}

func writeKind(w io.Writer, kind string, pairs map[pair]Spread, keys map[keystroke.Key]Spread, all Spread) {
	write := func(prev, key string, s Spread) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", kind, prev, key, format(s.Center), format(s.Scale), format(s.Within))
	}
	write("any", "any", all)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		write("any", k.String(), keys[k])
	}
	for _, at := range sortedPairs(pairs) {
		write(at.prev.String(), at.key.String(), pairs[at])
	}
}

func format(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// ReadPopulation reads a population table (version 2): a TSV file in UTF-8.
//
// The first line is "# ksd population table 2"; other lines that begin with
// "#" are comments. A line
//
//	KIND PREV KEY CENTER SCALE WITHIN
//
// is the Spread of one KIND (dd, flight, dwell) of time from key PREV to KEY,
// where "any" stands for all; keys are written as in the exchange format. dd
// and dwell are in log-ms, flight is in ms. The lines quantiles-…, lags-… and
// temper hold the fields of Population that bear those names. The lines
//
//	covariance-dd      NOISE TEMPO NEIGHBOUR STEP...
//	covariance-dwell   NOISE TEMPO NEIGHBOUR STEP...
//	covariance-across  ACROSS
//
// hold DDCovariance, DwellCovariance and Across, in squared population scales.
// The ten STEPs are for that many keys in common before (with the place's own)
// and after, or more: 0+0 1+0 2+0 3+0 4+0 6+0 1+1 2+1 3+1 4+3. None but
// NEIGHBOUR and ACROSS may be negative, and for texts of any length the
// covariance within a typing must be positive definite. The error wraps
// ErrTable and names the line.
func ReadPopulation(r io.Reader) (*Population, error) {
	p := &Population{
		dd: map[pair]Spread{}, ddKey: map[keystroke.Key]Spread{},
		flight: map[pair]Spread{}, flightKey: map[keystroke.Key]Spread{},
		dwell: map[keystroke.Key]Spread{},

		Across: math.NaN(), // until its line is read
	}
	all := &io.LimitedReader{R: r, N: maxTable + 1}
	in := bufio.NewScanner(all)
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		if n == 1 && line != tableHeader {
			return nil, fmt.Errorf("%w: line 1 is not %q", ErrTable, tableHeader)
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.readLine(strings.Split(line, "\t")); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrTable, n, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTable, err)
	}
	if all.N == 0 {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTable, maxTable)
	}
	if err := p.complete(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Population) readLine(f []string) error {
	for _, r := range p.rows() {
		if f[0] == r.name {
			xs, err := numbers(f[1:], r.size)
			*r.values = xs
			return err
		}
	}
	switch f[0] {
	case "covariance-dd":
		return p.DDCovariance.readRow(f[1:])
	case "covariance-dwell":
		return p.DwellCovariance.readRow(f[1:])
	case "covariance-across":
		xs, err := numbers(f[1:], 1)
		if err == nil {
			p.Across = printed(xs[0])
		}
		return err
	case "temper":
		xs, err := numbers(f[1:], 4)
		if err == nil && (xs[1] <= 0 || xs[3] <= 0) {
			err = errors.New("a standard deviation must be above 0")
		}
		if err == nil {
			p.Tempers = append(p.Tempers, Temper{xs[0], xs[1], xs[2], xs[3]})
		}
		return err
	}
	if len(f) != 6 {
		return fmt.Errorf("%d columns, want 6", len(f))
	}
	xs, err := numbers(f[3:], 3)
	if err != nil {
		return err
	}
	s := Spread{xs[0], xs[1], xs[2]}
	if s.Scale <= 0 || s.Within <= 0 {
		return errors.New("scale and within must be above 0")
	}
	switch f[0] {
	case "dd":
		put(p.dd, p.ddKey, &p.ddAll, f[1], f[2], s)
	case "flight":
		put(p.flight, p.flightKey, &p.flightAll, f[1], f[2], s)
	case "dwell":
		put(nil, p.dwell, &p.dwellAll, "any", f[2], s)
	default:
		return fmt.Errorf("unknown kind %q", f[0])
	}
	return nil
}

func put(pairs map[pair]Spread, keys map[keystroke.Key]Spread, all *Spread, prev, key string, s Spread) {
	switch {
	case prev != "any":
		pairs[pair{keystroke.ParseKey(prev), keystroke.ParseKey(key)}] = s
	case key != "any":
		keys[keystroke.ParseKey(key)] = s
	default:
		*all = s
	}
}

func numbers(f []string, want int) ([]float64, error) {
	if len(f) != want {
		return nil, fmt.Errorf("%d numbers, want %d", len(f), want)
	}
	out := make([]float64, want)
	for i, s := range f {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		out[i] = x
	}
	return out, nil
}

func (p *Population) complete() error {
	for _, s := range []Spread{p.ddAll, p.flightAll, p.dwellAll} {
		if s.Scale == 0 {
			return fmt.Errorf("%w: a line for any key is missing", ErrTable)
		}
	}
	for _, r := range p.rows() {
		if *r.values == nil {
			return fmt.Errorf("%w: the line %s is missing", ErrTable, r.name)
		}
	}
	if p.DDCovariance.Noise == 0 || p.DwellCovariance.Noise == 0 || math.IsNaN(p.Across) {
		return fmt.Errorf("%w: a line covariance-… is missing", ErrTable)
	}
	if !positive(&p.DDCovariance, &p.DwellCovariance, p.Across) {
		return fmt.Errorf("%w: the covariance within a typing is none", ErrTable)
	}
	if len(p.Tempers) == 0 {
		return fmt.Errorf("%w: no line temper", ErrTable)
	}
	if !slices.IsSorted(p.DDQuantiles) || !slices.IsSorted(p.DwellQuantiles) {
		return fmt.Errorf("%w: the quantiles do not ascend", ErrTable)
	}
	return nil
}

// TableSHA256 returns the SHA-256 of the shipped table in hexadecimal digits:
// residuals against one table mean nothing to a model trained on another.
func TableSHA256() string { return fmt.Sprintf("%x", sha256.Sum256(shipped)) }
