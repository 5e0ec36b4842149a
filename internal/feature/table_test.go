package feature

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// table returns a population as the bytes of its table.
func table(t testing.TB, p *Population, notes ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteTable(&b, notes...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTableRoundTrip checks that a table is read as it was written, and that
// what was built survives to the digits that are printed.
func TestTableRoundTrip(t *testing.T) {
	built := knownPopulation(t)
	first := table(t, built, "one note", "another")
	if !strings.HasPrefix(string(first), "# ksd population table 2\n# one note\n# another\ndd\tany\tany\t") {
		t.Errorf("it begins %q", first[:60])
	}
	read, err := ReadPopulation(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if second := table(t, read, "one note", "another"); !bytes.Equal(first, second) {
		t.Error("written, read and written again it is another")
	}
	again, err := ReadPopulation(bytes.NewReader(table(t, read)))
	if err != nil || !reflect.DeepEqual(read, again) {
		t.Errorf("read twice it is two tables (%v)", err)
	}
	close := func(a, b float64) bool { return near(a, b, 0.0006*math.Max(math.Abs(a), 1e-9)) }
	for at, want := range built.dd {
		got := read.dd[at]
		if !close(got.Center, want.Center) || !close(got.Scale, want.Scale) || !close(got.Within, want.Within) {
			t.Errorf("%v: %+v, built %+v", at, got, want)
		}
	}
	if len(read.dd) != len(built.dd) || len(read.ddKey) != len(built.ddKey) || len(read.flight) != len(built.flight) ||
		len(read.flightKey) != len(built.flightKey) || len(read.dwell) != len(built.dwell) || len(read.Tempers) != len(built.Tempers) {
		t.Error("lines were lost")
	}
	for i, want := range append(built.DDCovariance.row(), built.DwellCovariance.row()...) {
		if got := append(read.DDCovariance.row(), read.DwellCovariance.row()...)[i]; !close(got, want) {
			t.Errorf("number %d of the covariances: %v, built %v", i, got, want)
		}
	}
	if !close(read.Across, built.Across) {
		t.Errorf("across: %v, built %v", read.Across, built.Across)
	}
	for i, want := range built.CrossLags {
		if !close(read.CrossLags[i], want) {
			t.Errorf("covariance %d: %v, built %v", i, read.CrossLags[i], want)
		}
	}
}

// replaced returns the shipped table with old replaced once.
func replaced(t *testing.T, old, by string) string {
	t.Helper()
	if !strings.Contains(string(shipped), old) {
		t.Fatalf("the shipped table has no %q", old)
	}
	return strings.Replace(string(shipped), old, by, 1)
}

// without returns the shipped table without the lines that begin with prefix.
func without(prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(string(shipped)) {
		if !strings.HasPrefix(line, prefix) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// covarianceLine returns the shipped table with another line covariance-dd.
func covarianceLine(t *testing.T, line string) string {
	t.Helper()
	return replaced(t, "covariance-dd\t", "covariance-dd\t"+line+"\n#")
}

func TestReadPopulationRefuses(t *testing.T) {
	head := tableHeader + "\n"
	for name, in := range map[string]string{
		"nothing":                "",
		"the header alone":       head,
		"another version":        replaced(t, "table 2", "table 1"),
		"a comment first":        "# hello\n" + string(shipped),
		"an empty line":          replaced(t, "\ndd\t", "\n\ndd\t"),
		"five columns":           replaced(t, "dd\tany\tany\t", "dd\tany\t"),
		"seven columns":          replaced(t, "dd\tany\tany\t", "dd\tany\tany\t1\t"),
		"an unknown kind":        replaced(t, "dd\tany\tany\t", "pp\tany\tany\t"),
		"a word for a number":    replaced(t, "dd\tany\tany\t", "dd\tany\tany\tx"),
		"NaN":                    replaced(t, "dd\tany\tany\t", "dd\ta\tb\tNaN\t1\t1\ndd\tany\tany\t"),
		"infinity":               replaced(t, "dd\tany\tany\t", "dd\ta\tb\t-Inf\t1\t1\ndd\tany\tany\t"),
		"a scale of 0":           replaced(t, "dd\tany\tany\t", "dd\ta\tb\t1\t0\t1\ndd\tany\tany\t"),
		"a negative own spread":  replaced(t, "dd\tany\tany\t", "dd\ta\tb\t1\t1\t-1\ndd\tany\tany\t"),
		"no dd":                  without("dd\tany\tany\t"),
		"no flight":              without("flight\tany\tany\t"),
		"no dwell":               without("dwell\tany\tany\t"),
		"no quantiles":           without("quantiles-dwell\t"),
		"no lags":                without("lags-dwell-dd\t"),
		"no tempers":             without("temper\t"),
		"a lag too few":          replaced(t, "lags-dd\t", "lags-dd\t1\n#"),
		"a quantile too many":    replaced(t, "quantiles-dd\t", "quantiles-dd\t-99\t"),
		"quantiles that descend": replaced(t, "quantiles-dd\t-", "quantiles-dd\t9"),
		"a steady temper":        replaced(t, "temper\t", "temper\t1\t0\t1\t1\ntemper\t"),
		"a temper of three":      replaced(t, "temper\t", "temper\t1\t1\t1\ntemper\t"),
		"no covariance of dd":    without("covariance-dd\t"),
		"no covariance of dwell": without("covariance-dwell\t"),
		"nothing across":         without("covariance-across\t"),
		"two across":             replaced(t, "covariance-across\t", "covariance-across\t0\t"),
		"a step too many":        replaced(t, "covariance-dd\t", "covariance-dd\t1\t"),
		"a step below 0":         covarianceLine(t, "1\t0\t0\t1\t0\t0\t0\t0\t0\t0\t0\t-0.1\t0"),
		"a tempo below 0":        covarianceLine(t, "1\t-0.1\t0\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0"),
		"no noise":               covarianceLine(t, "0\t0\t0\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0"),
		"less noise than nearby": covarianceLine(t, "1\t0\t0.5\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0"),
		"noise in a fifth digit": strings.Replace(covarianceLine(t, "0.50004\t0\t0.25001\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0"), "across\t", "across\t0\n#", 1),
		"neighbours far apart":   covarianceLine(t, "1\t0\t-0.6\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0"),
		"beyond all numbers":     covarianceLine(t, "1\t0\t1.7e308\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0"),
		"more across than noise": replaced(t, "covariance-across\t", "covariance-across\t1\n#"),
		"a long line":            string(shipped) + "#" + strings.Repeat("x", 1<<17) + "\n",
		"cut within a number":    strings.TrimRight(string(shipped), "0123456789.\n"),
		"more than is read":      string(shipped) + strings.Repeat("#"+strings.Repeat("x", 1022)+"\n", maxTable/1024),
	} {
		p, err := ReadPopulation(strings.NewReader(in))
		if !errors.Is(err, ErrTable) || p != nil {
			t.Errorf("%s: %v, want ErrTable", name, err)
		}
	}
	_, err := ReadPopulation(strings.NewReader(replaced(t, "dd\tany\tany\t", "dd\tany\tany\tx")))
	if want := "line 5"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not name %s", err, want)
	}
	_, err = ReadPopulation(io.MultiReader(bytes.NewReader(shipped), &failing{}))
	if !errors.Is(err, ErrTable) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want ErrTable and what the reader said", err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestTableLimit checks the limit from below: the largest table is read.
func TestTableLimit(t *testing.T) {
	pad := maxTable - len(shipped)
	line := "#" + strings.Repeat("x", 1022) + "\n"
	in := string(shipped) + strings.Repeat(line, pad/1024) + "#" + strings.Repeat("x", pad%1024-1)
	if len(in) != maxTable {
		t.Fatalf("%d bytes", len(in))
	}
	if _, err := ReadPopulation(strings.NewReader(in)); err != nil {
		t.Errorf("the largest table is refused: %v", err)
	}
	if _, err := ReadPopulation(strings.NewReader(in + "x")); !errors.Is(err, ErrTable) {
		t.Errorf("one byte more: %v, want ErrTable", err)
	}
}

// TestShippedTable checks that the committed table is whole and that its
// figures are those of people.
func TestShippedTable(t *testing.T) {
	p := Default()
	in := func(name string, x, low, high float64) {
		if !(x >= low && x <= high) {
			t.Errorf("%s is %v, want %v to %v", name, x, low, high)
		}
	}
	in("the usual interval, ms", math.Exp(p.ddAll.Center), 100, 250)
	in("the usual dwell, ms", math.Exp(p.dwellAll.Center), 70, 140)
	in("the usual flight, ms", p.flightAll.Center, 0, 150)
	in("pairs", float64(len(p.dd)), 300, 900)
	in("tempers", float64(len(p.Tempers)), tempers, tempers)
	in("the typical tempo", medianOf(p.Tempers, func(t Temper) float64 { return t.DDMean }), -0.5, 0.8)
	in("variance of down-down", p.DDLags[0], 0.95, 1.05)
	in("variance of dwell", p.DwellLags[0], 0.95, 1.05)
	for at, s := range p.dd {
		in(at.prev.String()+at.key.String()+", ms", math.Exp(s.Center), 50, 1500) // a key held down would repeat every 33 ms
		in(at.prev.String()+at.key.String()+" scale", s.Scale, 0.1, 2)
		in(at.prev.String()+at.key.String()+" own spread", s.Within, 0.05, 1)
	}
	for name, c := range map[string]Covariance{"down-down": p.DDCovariance, "dwell": p.DwellCovariance} {
		in("what a person always does, "+name, c.Between(MaxBack, MaxAhead), 0.5, 1)
		in("a person's tempo, "+name, c.Between(0, 0), 0.2, 0.6)
		in("what it does this time, "+name, c.Noise, 0.2, 0.7)
	}
	th, zq := p.DownDown('t', 'h').Center, p.DownDown('z', 'q').Center
	if th >= zq {
		t.Errorf("th takes %.0f ms, zq %.0f", math.Exp(th), math.Exp(zq))
	}
	if !bytes.Contains(shipped, []byte("KLiCKe")) || !bytes.Contains(shipped, []byte("CC BY 4.0")) {
		t.Error("the table does not say where it comes from and on what terms")
	}
	if got := TableSHA256(); len(got) != 64 {
		t.Errorf("digest %q", got)
	}
}

// FuzzReadPopulation checks that whatever is accepted is written as a table
// that is read as the same, and that strangers can be drawn from it.
func FuzzReadPopulation(f *testing.F) {
	small := strings.Builder{}
	small.WriteString(tableHeader + "\ndd\tany\tany\t5\t0.5\t0.2\nflight\tany\tany\t50\t40\t20\ndwell\tany\tany\t4.6\t0.3\t0.1\n")
	small.WriteString("dd\ta\tb\t5\t0.5\t0.2\nflight\tSpace\tb\t-5\t0.5\t0.2\ndwell\tany\tBackspace\t4.6\t0.3\t0.1\n")
	for _, r := range (&Population{}).rows() {
		small.WriteString(r.name + strings.Repeat("\t0.1", r.size) + "\n")
	}
	line := "\t0.5\t0.1\t-0.05" + strings.Repeat("\t0.05", len(steps)) + "\n"
	small.WriteString("covariance-dd" + line + "covariance-dwell" + line + "covariance-across\t-0.1\n")
	small.WriteString("temper\t0.1\t1\t-0.1\t1\n")
	f.Add(small.String())
	f.Fuzz(func(t *testing.T, in string) {
		p, err := ReadPopulation(strings.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrTable) {
				t.Fatalf("%v is not ErrTable", err)
			}
			return
		}
		first := table(t, p)
		read, err := ReadPopulation(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, first)
		}
		if second := table(t, read); !bytes.Equal(first, second) {
			t.Fatalf("written again it is\n%s, was\n%s", second, first)
		}
		s, err := NewRhythms(p, nil).Draw(rand.New(rand.NewPCG(1, 1)), "a b")
		if err != nil || s.Line().Text != "a b" {
			t.Fatalf("drew %+v, %v", s, err)
		}
	})
}
