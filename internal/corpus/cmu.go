package corpus

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// CMUFeatures is the number of timing columns of the CMU benchmark.
const CMUFeatures = 31

// CMUColumns are the names of the timing columns in the order of the file:
// H.k is the dwell of k, DD.j.k the down-down interval from j to k, UD.j.k the
// flight between them. All are in seconds.
var CMUColumns = strings.Split("H.period,DD.period.t,UD.period.t,H.t,DD.t.i,UD.t.i,H.i,DD.i.e,UD.i.e,H.e,DD.e.five,UD.e.five,"+
	"H.five,DD.five.Shift.r,UD.five.Shift.r,H.Shift.r,DD.Shift.r.o,UD.Shift.r.o,H.o,DD.o.a,UD.o.a,H.a,DD.a.n,UD.a.n,"+
	"H.n,DD.n.l,UD.n.l,H.l,DD.l.Return,UD.l.Return,H.Return", ",")

// Repetition is one typing of .tie5Roanl and Return in the CMU benchmark.
type Repetition struct {
	Subject  string
	Session  int                  // 1 to 8
	Rep      int                  // within the session, 1 to 50
	Features [CMUFeatures]float64 // seconds, in the order of CMUColumns
}

// maxRepetitions bounds the memory a file can ask for; the benchmark has
// 20,400.
const maxRepetitions = 1 << 18

// ReadCMU reads the benchmark of Killourhy and Maxion, "Comparing
// Anomaly-Detection Algorithms for Keystroke Dynamics" (DSN 2009), in its
// official columns. Errors wrap ErrFormat and name line and column.
func ReadCMU(r io.Reader) ([]Repetition, error) {
	br, err := open(r)
	if err != nil {
		return nil, err
	}
	c := csv.NewReader(br)
	c.FieldsPerRecord = 3 + CMUFeatures
	c.ReuseRecord = true
	head, err := c.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("line 1: %w: the file is empty", ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if want := append([]string{"subject", "sessionIndex", "rep"}, CMUColumns...); !slices.Equal(head, want) {
		return nil, fmt.Errorf("line 1: %w: these are not the columns of the CMU benchmark", ErrFormat)
	}
	var out []Repetition
	for {
		cells, err := c.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		line, _ := c.FieldPos(0)
		if len(out) == maxRepetitions {
			return nil, fmt.Errorf("line %d: %w: more than %d repetitions", line, ErrFormat, maxRepetitions)
		}
		rep, err := parseRepetition(cells)
		if err != nil {
			return nil, fmt.Errorf("line %d, %w", line, err)
		}
		out = append(out, rep)
	}
}

func parseRepetition(cells []string) (Repetition, error) {
	rep := Repetition{Subject: strings.Clone(cells[0])}
	if rep.Subject == "" {
		return rep, fmt.Errorf("column subject: %w: it is empty", ErrFormat)
	}
	for i, to := range []*int{&rep.Session, &rep.Rep} {
		if err := setInt(to, []byte(cells[1+i])); err != nil {
			return rep, fmt.Errorf("column %s: %w", []string{"sessionIndex", "rep"}[i], err)
		}
	}
	for i := range rep.Features {
		v, err := strconv.ParseFloat(cells[3+i], 64)
		if err != nil || !(v > -1e4 && v < 1e4) { // NaN is not between them either
			return rep, fmt.Errorf("column %s: %w: %q is not a time in seconds", CMUColumns[i], ErrFormat, cells[3+i])
		}
		rep.Features[i] = v
	}
	return rep, nil
}
